"""`make demo`: make up three months of taxi trips, train on the first, score the others, and say what happened."""

import argparse
import hashlib
import itertools
import os
import shlex
import shutil
import sys
from pathlib import Path

import scoreline
from scoreline.api.simulating import simulate
from scoreline.assemble import assemble
from scoreline.config import load
from scoreline.errors import ModelMissing, ScorelineError
from scoreline.outcome import BackfillReport

# What the shell may have set, and what would lead the demo away from its own folder.
ELSEWHERE = [
    name for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "SCORELINE_HOME") if os.environ.pop(name, "")
]
HERE = Path(__file__).resolve().parent
SIMULATED = ("2021-01", "2021-02", "2021-03")
COLUMNS = ("month", "rows in", "scored", "quarantined", "filtered", "seconds", "rows/s", "RMSE", "bias", "output")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with real months of the TLC, instead of made-up ones")
    data = parser.parse_args().data
    place, settings = prepared(data), {"data": str(data.resolve())} if data else {}
    first, *others = months(place, settings)
    print(f"Data   {shown(data or place / 'data')}: {first} to learn from, {' and '.join(others)} to score")
    span = f"{others[0]}..{others[-1]}"
    try:
        report = scoreline.backfill(place, span, settings=settings)
    except ModelMissing:
        print(f"Model  training on {first} ...", flush=True)
        trained = scoreline.train(place, first, settings=settings)
        print(f"       {trained.model['alias']} is {trained.model['uri']}: {told(trained.metrics)}", flush=True)
        report = scoreline.backfill(place, span, settings=settings)
    print(f"Model  {report.model['uri']}, version {report.model['version']}\n")
    tell(place, settings, report, span)
    if set(report.totals) == {"current"}:
        print("\nNothing is due:")
    for one in report.outcomes:
        if one.outcome != "published":
            print(f"  {one.partition}  {one.outcome}: {one.error['message'] if one.error else one.reason}")
    suggest(place, settings, report, span)
    return report.exit_code


def prepared(data: Path | None) -> Path:
    """The demo's own folder with a copy of the job, one for each data folder; without one it gets made-up months."""
    name = f"{data.name}-{hashlib.sha256(bytes(data.resolve())).hexdigest()[:8]}" if data else "simulated"
    place = HERE / "demo" / name
    place.mkdir(parents=True, exist_ok=True)
    for file in ("job.py", "simulator.py"):
        shutil.copyfile(HERE / file, place / file)
    for month in () if data else SIMULATED:
        if not (place / f"data/green_tripdata_{month}.parquet").exists():
            simulate(place, month)
    return place


def months(place: Path, settings: dict[str, str]) -> list[str]:
    """The first three months in the data that follow each other, or two where there are no three."""
    there = assemble(load(place, settings=settings)).source.partitions()
    for length in (3, 2):
        for found in zip(*(there[skip:] for skip in range(length)), strict=False):
            if all(one.end == other.start for one, other in itertools.pairwise(found)):
                if length == 2:
                    print("No three months follow each other in the data, so one is scored instead of two.")
                return [month.slug for month in found]
    sys.exit(
        f"{settings.get('data', place)} has no two consecutive months named like green_tripdata_2021-02.parquet: one "
        f"trains, the next is scored. Found: {', '.join(map(str, there)) or 'none'}. Without a folder, the demo makes "
        "up its own."
    )


def told(metrics: dict[str, float]) -> str:
    return f"RMSE {metrics['rmse']:.2f} min on the {metrics['rows']:,.0f} trips that it has learned from"


def tell(place: Path, settings: dict[str, str], report: BackfillReport, span: str) -> None:
    """One line for each published month; RMSE and bias come from the published files."""
    published = {one.partition.slug: one.published for one in scoreline.plan(place, span, settings=settings)}
    lines = [COLUMNS]
    for one in report.outcomes:
        counts, run = one.counts, published[one.partition]
        if counts is None or run is None:
            continue
        trips = scoreline.read(place, one.partition, settings=settings)
        error = trips["predicted_duration"] - trips["actual_duration"]
        sizes = [counts.rows_in, counts.scored, counts.quarantined, sum(counts.filtered.values())]
        speed = [f"{one.seconds:.2f}", f"{counts.rows_in / one.seconds:,.0f}"] if one.seconds else ["-", "-"]
        quality = [f"{(error**2).mean() ** 0.5:.2f}", f"{error.mean():+.2f}"]
        output = shown(Path(run.prepared[0].target))
        lines.append((one.partition, *(f"{size:,}" for size in sizes), *speed, *quality, output))
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS) - 1)]
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line[:-1], widths, strict=True)), "", line[-1])
    print("RMSE and bias (the mean of predicted - actual) are minutes, computed from the published files.")


def suggest(place: Path, settings: dict[str, str], report: BackfillReport, span: str) -> None:
    """Three commands that work when they are pasted."""
    chosen = "".join(f" --set {name}={shown(Path(value))}" for name, value in settings.items())
    words = [f"plan {shown(place)} {span}", f"status {shown(place)}"]
    for one in report.outcomes:
        if one.counts and one.counts.quarantined:
            words[1] = f"quarantine show {shown(place)} {one.partition}"
        if one.outcome in {"published", "current"}:
            known = scoreline.read(place, one.partition, settings=settings)["ride_id"][0]
            words[2:] = [f"explain {shown(place)} {known}"]
    command = shown(Path(sys.executable).with_name("scoreline"))
    if ELSEWHERE:
        command = f"env {' '.join(f'-u {name}' for name in ELSEWHERE)} {command}"
    print("\nTry next:")
    for word in words:
        print(f"  {command} {word}{chosen}")


def shown(path: Path) -> str:
    """A path as it can be pasted into the shell here."""
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ScorelineError as error:
        sys.exit(f"error: {error}")
