"""`make demo`: fit the usual model on one month of green taxi trips, score the next, and say what happened."""

import argparse
import hashlib
import itertools
import pickle
import shlex
import sys
from pathlib import Path

import polars as pl
from make_months import make_month

import scoreline
from scoreline.assemble import assemble
from scoreline.assembly import Assembly
from scoreline.config import load
from scoreline.durable import sha256_of, written
from scoreline.models.trust import Trust
from scoreline.observers.lines import ProgressLines
from scoreline.observers.progress import ProgressBar
from scoreline.partition import Partition
from scoreline.report import RunReport
from scoreline.score import derived, keep, model_inputs, numbered

JOB = Path(__file__).resolve().with_name("job.py")
DEMO = JOB.with_name("demo")
TARGET = "duration"  # what the job derives for its filter is also what the model learns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with real months of the TLC, by default small made-up ones")
    data = (parser.parse_args().data or made_up_months()).absolute()
    settings = {"data": str(data), "output": str(DEMO / "predictions")}
    train, score = consecutive(assembly := assemble(load(JOB, settings=settings)), data)
    print(f"{shown(data)}: {train} trains the model, {score} is scored.")
    settings["model"] = str(fitted(assembly, train))
    progress = (ProgressBar if sys.stderr.isatty() else ProgressLines)(sys.stderr)
    report = scoreline.run(JOB, score.slug, settings=settings, observers=[progress])
    tell(report, scoreline.read(JOB, score.slug, settings=settings))
    command = shown(Path(sys.executable).with_name("scoreline"))
    chosen = " ".join(f"--set {name}={shown(Path(value))}" for name, value in settings.items())
    print(f"\nTry next:\n  {command} check {shown(JOB)} {score} {chosen}")
    print(f"  {command} status {shown(JOB)}\n  {command} run {shown(JOB)} {score} --force {chosen}")


def made_up_months() -> Path:
    """Two small months in the TLC's schema, made once; they are the same on every machine."""
    folder = DEMO / "months"
    if not folder.exists():
        for month in (1, 2):
            make_month(DEMO / "part", 2021, month, rows=20_000)
        (DEMO / "part").rename(folder)
    return folder


def consecutive(assembly: Assembly, data: Path) -> tuple[Partition, Partition]:
    """The first two months of a folder that follow each other."""
    there = assembly.source.partitions()
    for first, second in itertools.pairwise(there):
        if first.end == second.start:
            return first, second
    sys.exit(
        f"{data} has no two consecutive months named like green_tripdata_2021-02.parquet: one trains, the next is "
        f"scored. Found: {', '.join(map(str, there)) or 'none'}. Without a folder, the demo makes up its own."
    )


def fitted(assembly: Assembly, month: Partition) -> Path:
    """The pair (DictVectorizer, LinearRegression), fitted once for a month and a declaration, and trusted."""
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LinearRegression

    origin = assembly.job.scoring_digest + "".join(file.footer for file in assembly.source.fingerprint(month))
    path = DEMO / f"lin_reg-{month}-{hashlib.sha256(origin.encode()).hexdigest()[:8]}.bin"
    if not path.exists():
        rows, vectorizer = training_rows(assembly, month), DictVectorizer()
        matrix = vectorizer.fit_transform(rows.drop(TARGET).to_dicts())
        estimator = LinearRegression().fit(matrix, rows[TARGET].to_numpy())
        DEMO.mkdir(exist_ok=True)
        with written(path, durable=False) as handle:
            pickle.dump((vectorizer, estimator), handle)
        print(f"Fitted on {rows.height:,} trips of {month}, {matrix.shape[1]:,} columns: {shown(path)}")
    if (trust := Trust(assembly.home)).reason(digest := sha256_of(path), path) is None:
        trust.add(digest, path)  # as `scoreline models trust` does: a pickle that nobody trusts is not loaded
    return path


def training_rows(assembly: Assembly, month: Partition) -> pl.DataFrame:
    """A month as scoring sees it, through the job's own source, filters and features, with the target."""
    job, source, frames = assembly.job, assembly.source, []
    for split in source.splits(source.fingerprint(month), workers=1):
        for batch in source.read(split, job.input_columns):
            rows = derived(numbered(batch.frame, batch.first_row), job.derive, split)
            features, frame = model_inputs(keep(rows, job.filters, split)[0], job.features, split)
            frames.append(features.with_columns(frame[TARGET]))
    return pl.concat(frames)


def tell(report: RunReport, rows: pl.DataFrame) -> None:
    counts, error = report.counts, rows["predicted_duration"] - rows["actual_duration"]
    state = "nothing is due, it is current" if report.state == "current" else report.state
    print(f"\n{report.job} {report.partition}: {state} ({report.reason})")
    print(f"  rows     {counts.rows_in:,} in = {counts.scored:,} scored + {sum(counts.filtered.values()):,} filtered")
    print(f"  time     {report.seconds['total']:.2f} s, {report.rows_per_second:,.0f} rows/s")
    print(f"  quality  RMSE {(error**2).mean() ** 0.5:.2f} min, bias {error.mean():+.2f} min (predicted - actual)")
    print(f"  output   {shown(Path(report.outputs[0]['path']))}")
    with pl.Config(tbl_cols=rows.width, tbl_width_chars=160, tbl_hide_dataframe_shape=True):
        print(rows.head(5))


def shown(path: Path) -> str:
    """A path as it can be pasted into the shell here."""
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # in order with the progress, also through a pipe
    main()
