"""Draws the pictures of the README from the simulator itself: `python examples/nyc_simulated/plots.py` (matplotlib)."""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from simulator import MEAN, MILES, SIGMA, simulate, town  # noqa: E402 - found beside this file

from scoreline.config import load  # noqa: E402
from scoreline.simulation import seed_of  # noqa: E402

DAY = "2025-01-17T00Z-2h..2025-01-17T22Z-2h"
BLUE, ORANGE = "#3366aa", "#dd7722"


def main() -> None:
    mpl.rcParams.update({"figure.figsize": (4.2, 2.7), "figure.dpi": 100, "font.size": 8, "axes.spines.top": False})
    mpl.rcParams.update({"axes.spines.right": False, "figure.constrained_layout.use": True})
    trips = a_day()
    for name, draw in {"hours": hours, "distances": distances, "durations": durations, "boroughs": boroughs}.items():
        figure = Figure()
        draw(figure.subplots(), trips)
        path = HERE / f"plots/{name}.png"
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, metadata={"Software": None})
        print(f"{path}  {path.stat().st_size:,} bytes")


def a_day() -> pl.DataFrame:
    """The trips of twelve batches, as `scoreline simulate` makes them."""
    job = load(HERE, home=HERE / ".scoreline").job
    made = [pl.DataFrame(simulate(one, seed_of(job, one))) for one in job.grid.range(DAY)]
    return pl.concat(made)


def hours(axes: Axes, trips: pl.DataFrame) -> None:
    """Each batch has 5,000 trips, so it is within a batch that the demand changes."""
    pickups = trips["pickup_datetime"]
    quarters = (pickups.dt.hour().cast(pl.Int64) * 4 + pickups.dt.minute().cast(pl.Int64) // 15).to_numpy()
    axes.bar(np.arange(96) / 4, np.bincount(quarters, minlength=96), width=0.25, align="edge", color=BLUE)
    for start in range(2, 24, 2):
        axes.axvline(start, color="white", linewidth=1.5)
    mph = (trips["trip_distance"] / trips["duration"] * 60).to_numpy()
    right = axes.twinx()
    right.plot(np.arange(96) / 4 + 0.125, [np.median(mph[quarters == one]) for one in range(96)], color=ORANGE)
    right.set(ylim=(0, 20), ylabel="median miles per hour (line)")
    axes.set(xlim=(0, 24), xticks=range(0, 25, 4), xlabel="hour", ylabel="pickups in 15 minutes (bars)")
    axes.set_title("Pickups within twelve batches, and speed")


def distances(axes: Axes, trips: pl.DataFrame) -> None:
    """The histogram on a logarithmic axis, and the density that it was drawn from."""
    miles = trips["trip_distance"].to_numpy()
    edges = np.geomspace(*MILES, 61)
    axes.hist(miles, edges, weights=np.full(len(miles), 1 / len(miles)), color=BLUE)
    middle, steps = np.sqrt(edges[1:] * edges[:-1]), np.diff(np.log(edges))
    density = np.exp(-(((np.log(middle) - MEAN) / SIGMA) ** 2) / 2) * steps
    axes.plot(middle, density / density.sum(), color=ORANGE)
    axes.set(xscale="log", xticks=[0.1, 0.3, 1, 3, 10, 50], xticklabels=["0.1", "0.3", "1", "3", "10", "50"])
    axes.set(xlabel="miles", ylabel="part of the trips")
    axes.set_title("Distance: simulated, and log-normal (line)")


def durations(axes: Axes, trips: pl.DataFrame) -> None:
    shown = trips[::10]
    manhattan = pl.Series(town().ids[town().manhattan])
    inside = shown["PULocationID"].is_in(manhattan.implode())
    for where, name, color in ((~inside, "elsewhere", ORANGE), (inside, "begins in Manhattan", BLUE)):
        some = shown.filter(where)
        axes.scatter(some["trip_distance"], some["duration"], s=3, color=color, label=name, linewidths=0)
    axes.set(xlim=(0, 30), ylim=(0, 120), xlabel="miles", ylabel="minutes")
    axes.legend(markerscale=4, frameon=False)
    axes.set_title("True duration against distance")


def boroughs(axes: Axes, trips: pl.DataFrame) -> None:
    zones = pl.read_csv(HERE / "zones.csv").select("zone", "borough")
    order = zones["borough"].unique(maintain_order=True).to_list()
    for offset, (column, name, color) in enumerate(
        (("PULocationID", "pickups", BLUE), ("DOLocationID", "dropoffs", ORANGE))
    ):
        joined = trips.join(zones, left_on=column, right_on="zone")["borough"].value_counts(normalize=True)
        share = dict(joined.rows())
        order = sorted(order, key=lambda one: -share.get(one, 0)) if not offset else order
        bars = axes.bar(np.arange(len(order)) + 0.4 * offset, [100 * share[one] for one in order], 0.4, color=color)
        axes.bar_label(bars, fmt="%.1f", fontsize=6)
        bars.set_label(name)
    axes.set(ylabel="percent of the trips")
    axes.set_xticks(np.arange(len(order)) + 0.2, [one.replace(" ", "\n") for one in order])
    axes.legend(frameon=False)
    axes.set_title("Where trips begin and end")


if __name__ == "__main__":
    main()
