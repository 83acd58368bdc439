"""Two hours of made-up New York taxi trips; one seed always gives the same trips.

Zones and their boroughs are the city's own (`zones.csv`). Distances follow a truncated log-normal distribution exactly;
the route is chosen afterwards, among those whose ends lie about as far apart. No step looks at one row at a time.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scoreline.errors import UsageError
from scoreline.partition import Partition

if TYPE_CHECKING:  # the job imports this module, and its runs do without both
    import numpy as np
    import pyarrow as pa

    Array = np.ndarray[Any, np.dtype[Any]]

TRIPS = 5_000
MILES = 0.1, 50.0
ZONES = 1, 263
MEAN, SIGMA = 1.2, 0.8  # of the logarithm of a trip's miles
SHARES = {(True, True): 0.64, (True, False): 0.06, (False, True): 0.06, (False, False): 0.24}
"""(begins in Manhattan, ends in Manhattan) -> part of the trips: 70 % begin there, and 70 % end there."""
DETOUR, DETOUR_SPREAD = 1.3, 0.1  # miles on the road for a mile between the zones' centroids
NEAR, FEWEST = 0.15, 20  # routes within 15 % of the wanted length, or the 20 that come nearest
MIDTOWN = -73.985, 40.758
MILE = 1 / 52.3, 1 / 69.1  # in degrees of longitude and latitude, at New York's latitude
AIRPORTS, ROADLESS = (1, 132, 138), (103, 104, 105, 199)
# at full hours, from midnight to midnight
DEMAND = 30, 20, 13, 9, 9, 14, 32, 62, 84, 74, 60, 60, 64, 64, 68, 74, 82, 96, 100, 90, 76, 66, 56, 42, 30
SPEEDS = 17, 18, 19, 20, 20, 19, 16, 12, 10, 10.5, 11, 11, 11, 11, 10.5, 10, 9.5, 9, 9, 10.5, 12, 13, 14, 16, 17


@dataclass(frozen=True)
class Town:
    """The zones that trips may use.

    Attributes:
        ids: (zones,) of the city.
        manhattan: (zones,) whether they lie there.
        popular: (zones,) how likely trips begin or end there, relative to others.
        slow: (zones,) how much longer a mile takes.
        apart: (zones, zones) miles between centroids; for a zone and itself, half of those to the nearest other.
    """

    ids: Array
    manhattan: Array
    popular: Array
    slow: Array
    apart: Array


def simulate(
    partition: Partition,
    seed: int,
    rows: int | None = None,
    *,
    trips: int = TRIPS,
    zones: tuple[int, int] = ZONES,
    miles: tuple[float, float] = MILES,
) -> pa.Table:
    """The trips of one interval, by pickup time.

    Args:
        partition: the interval.
        seed: decides everything that is random.
        rows: of the table; by default ``trips``.
        trips: how many there are unless ``rows`` says otherwise.
        zones: first and last zone.
        miles: shortest and longest trip.

    Returns:
        (rows, seven columns), the last one the true ``duration`` in minutes.
    """
    import numpy as np
    import pyarrow as pa

    count, rng, known = trips if rows is None else rows, np.random.default_rng(seed), town(*zones)
    start, end = partition.naive_bounds()
    pickup = _pickups(rng, count, start, end)
    distance = _distances(rng, count, *miles)
    begins, ends = _routes(rng, known, distance)
    columns = {
        "trip_id": _numbered(f"trip_{end:%Y%m%d_%H%M%S}_", count),
        "batch_timestamp": pa.array(np.full(count, end, "M8[us]")),
        "PULocationID": pa.array(known.ids[begins]),
        "DOLocationID": pa.array(known.ids[ends]),
        "trip_distance": pa.array(distance),
        "pickup_datetime": pa.array(pickup.astype("M8[us]")),
        "duration": pa.array(_minutes(rng, known, pickup, distance, (begins, ends))),
    }
    return pa.table(columns)


def town(first: int = ZONES[0], last: int = ZONES[1]) -> Town:
    """The zones from one id to another.

    Raises:
        UsageError: the city has none there.
    """
    import numpy as np

    with Path(__file__).with_name("zones.csv").open(encoding="ascii") as lines:
        found = [zone for zone in csv.DictReader(lines) if first <= int(zone["zone"]) <= last]
    if not found:
        raise UsageError(f"no zone has an id of {first} to {last}", hint=f"the city's are {ZONES[0]} to {ZONES[1]}")
    ids = np.array([int(zone["zone"]) for zone in found])
    place = np.array([(float(zone["lon"]), float(zone["lat"])) for zone in found]) / MILE
    from_midtown = np.hypot(*(place - np.array(MIDTOWN) / MILE).T)
    popular = np.exp(-from_midtown / 4) * np.where(np.isin(ids, ROADLESS), 0.01, 1) + 0.2 * np.isin(ids, AIRPORTS)
    apart = np.hypot(*(place[:, None] - place[None]).T)
    nearest = np.min(apart, axis=1, initial=np.inf, where=apart > 0)
    np.fill_diagonal(apart, np.where(np.isfinite(nearest), nearest / 2, 0.5))
    manhattan = np.array([zone["borough"] == "Manhattan" for zone in found])
    return Town(ids, manhattan, popular, 0.8 + 0.5 * np.exp(-from_midtown / 3), apart)


def _pickups(rng: np.random.Generator, count: int, start: datetime, end: datetime) -> Array:
    """Instants in whole seconds, as dense as the demand at their hour, which changes from minute to minute."""
    import numpy as np

    seconds = np.linspace(0, (end - start).total_seconds(), 121)
    grown = _grown(np.interp((start.hour + seconds / 3600) % 24, range(25), DEMAND), seconds)
    drawn = np.floor(np.interp(rng.random(count) * grown[-1], grown, seconds))
    return np.datetime64(start, "s") + np.sort(drawn).astype("m8[s]")


def _distances(rng: np.random.Generator, count: int, low: float, high: float) -> Array:
    """Miles with two decimals: the inverse of the distribution's own function, so nothing is drawn twice or clipped."""
    import numpy as np

    if not 0 < low < high:
        raise UsageError(f"no trip has {low} to {high} miles", hint="give 0 < MIN_TRIP_DISTANCE < MAX_TRIP_DISTANCE")
    logs = np.linspace(np.log(low), np.log(high), 20_001)
    grown = _grown(np.exp(-(((logs - MEAN) / SIGMA) ** 2) / 2), logs)
    drawn = np.exp(np.interp(rng.random(count) * grown[-1], grown, logs))
    return np.clip(np.round(drawn, 2), low, high)


def _grown(density: Array, places: Array) -> Array:
    """The integral of a density up to each place, by trapezoids; increasing."""
    import numpy as np

    steps = (density[1:] + density[:-1]) / 2 * np.diff(places)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _routes(rng: np.random.Generator, known: Town, distance: Array) -> tuple[Array, Array]:
    """Where each trip begins and ends, as positions among the zones; long trips are those that leave Manhattan."""
    import numpy as np

    apart = distance / rng.lognormal(np.log(DETOUR), DETOUR_SPREAD, len(distance))
    begins, ends = np.zeros((2, len(distance)), int)
    for kind, trips in _kinds(rng, distance).items():
        pairs = np.equal(known.manhattan[:, None], kind[0]) & np.equal(known.manhattan[None], kind[1])
        starts, stops = np.nonzero(pairs if pairs.any() else np.ones_like(pairs))
        order = np.argsort(known.apart[starts, stops], kind="stable")
        starts, stops = starts[order], stops[order]
        chosen = _chosen(rng, apart[trips], known.apart[starts, stops], known.popular[starts] * known.popular[stops])
        begins[trips], ends[trips] = starts[chosen], stops[chosen]
    return begins, ends


def _kinds(rng: np.random.Generator, distance: Array) -> dict[tuple[bool, bool], Array]:
    """Positions of the trips of each kind of `SHARES`, whose parts are exact to a trip."""
    import numpy as np

    leaving = np.argsort(-np.log(distance) + rng.normal(0, 0.3, len(distance)), kind="stable")
    across = round(len(distance) * (SHARES[True, False] + SHARES[False, True]))
    inside = round(len(distance) * SHARES[True, True])
    crossing, staying = rng.permutation(leaving[:across]), rng.permutation(leaving[across:])
    return {
        (True, False): crossing[: across // 2],
        (False, True): crossing[across // 2 :],
        (True, True): staying[:inside],
        (False, False): staying[inside:],
    }


def _chosen(rng: np.random.Generator, wanted: Array, miles: Array, weights: Array) -> Array:
    """For each wanted length a route of about that length, by weight; ``miles`` of the routes are in order."""
    import numpy as np

    fewest = min(FEWEST, len(miles))
    first = np.minimum(np.searchsorted(miles, wanted * (1 - NEAR)), len(miles) - fewest)
    after = np.maximum(np.searchsorted(miles, wanted * (1 + NEAR), side="right"), first + fewest)
    grown = np.concatenate([[0.0], np.cumsum(weights)])
    drawn = grown[first] + rng.random(len(wanted)) * (grown[after] - grown[first])
    return np.clip(np.searchsorted(grown, drawn, side="right") - 1, first, after - 1)


def _minutes(rng: np.random.Generator, known: Town, pickup: Array, distance: Array, ends: tuple[Array, Array]) -> Array:
    """True durations: slow in rush hours and near Midtown, faster on long ways, and with some luck."""
    import numpy as np

    hour = (pickup - pickup.astype("M8[D]")).astype(int) / 3600
    mph = np.interp(hour, range(25), SPEEDS) * np.minimum(1 + distance / 20, 2)
    slow = (known.slow[ends[0]] + known.slow[ends[1]]) / 2
    return np.round(2 + 60 * distance / mph * slow * rng.lognormal(0, 0.15, len(distance)), 2)


def _numbered(prefix: str, count: int) -> pa.Array:
    """``prefix`` and the row's number, in six digits or more."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = pa.array(np.arange(count)).cast(pa.string())
    return pc.binary_join_element_wise(prefix, pc.utf8_lpad(numbers, 6, "0"), "")
