"""Training: a model from a job's own rows, with what scoring needs to know it again.

The rows come through the functions of scoring and are collected in this process's memory. The model is written, loaded
back by the loader that scoring uses, and what that one predicts is recorded. Where the model is kept is the registry's
business.
"""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from scoreline.abc import Model, ModelVersion, Trained
from scoreline.assembly import Assembly, Bench, command
from scoreline.card import GOLDEN, PREDICTED, Card, params_of, versions_used
from scoreline.durable import sha256_of
from scoreline.errors import ModelFailed, ModelInvalid, ModelUntrusted, ScorelineError, TrainingFailed, UsageError
from scoreline.job import Job
from scoreline.measures import Errors
from scoreline.neighbours import importable
from scoreline.partition import Partition
from scoreline.rejects import Rejects
from scoreline.report import Counts
from scoreline.score import numbered, predict_rows
from scoreline.training_rows import (
    Surveyed,
    chunks,
    require_passable,
    require_trainable,
    survey,
    trained_on,
    training_frame,
)

GOLDEN_ROWS = 1_000
EXAMPLE_ROWS = 5

Tell = Callable[[str], None]
"""Hears how far the training is, in sentences."""


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a training did.

    Attributes:
        job: the job's key.
        training: slugs of the partitions that were learned from.
        validation: slugs of those that the model was tried on.
        counts: where the training rows went; ``scored`` are those that were used.
        validation_counts: where the validation rows went.
        metrics: ``rmse``, ``mae``, ``bias`` (mean of predicted - actual) and ``rows`` on the rows learned from, and the
            same with ``validation_`` before them; ``accuracy`` instead where labels are predicted.
        model: uri (which always means this model), path, digest, version, file, alias, and the kind of estimator; uri,
            path, version and alias are None where it was not kept.
        dataset: content digest of the training rows.
        seconds: wall seconds: read, fit, total.
        next: commands that make sense now.
        notes: what someone should know.
    """

    job: str
    training: tuple[str, ...]
    validation: tuple[str, ...]
    counts: Counts
    validation_counts: Counts
    metrics: dict[str, float]
    model: dict[str, Any]
    dataset: str
    seconds: dict[str, float]
    next: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON form, for ``--json``."""
        return asdict(self)


@dataclass
class _Progress:
    """What has been learned about this training so far."""

    tell: Tell
    began: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def lap(self, stage: str, started: float) -> float:
        self.seconds[stage] = time.monotonic() - started
        return self.seconds[stage]


def train(
    bench: Bench,
    training: Sequence[Partition],
    validation: Sequence[Partition] = (),
    *,
    alias: str | None = None,
    tell: Tell = lambda _: None,
) -> TrainReport:
    """Trains the job's model and keeps it.

    Args:
        bench: of the job.
        training: partitions to learn from.
        validation: partitions to try the model on.
        alias: under which it is registered, instead of the one that the job's model URI names.
        tell: hears of progress.

    Raises:
        JobError: the job declares no target or fit.
        InputMissing: a partition has no input.
        Refused: a partition is over its budgets.
        TrainingFailed: ``fit`` failed, or its model cannot score.
    """
    job, assembly, progress = bench.assembly.job, bench.assembly, _Progress(tell)
    target = require_trainable(job)
    both = sorted({one.slug for one in training} & {one.slug for one in validation})
    if both:
        raise UsageError(f"{', '.join(both)} is to be learned from and tried on", hint="validate on later partitions")
    surveyed = survey(assembly.source, [*training, *validation])
    if bench.registry is not None:
        bench.registry.check(str(job.model), alias)
    learned, held_out = ({one: surveyed[one] for one in part} for part in (training, validation))
    frame, counts = _read(bench, learned, progress)
    estimator = _fitted(bench, frame, progress)
    with tempfile.TemporaryDirectory(prefix="scoreline-") as place:
        made = _written(bench, estimator, frame, Path(place))
        metrics = _errors_of(made.scoring, frame, target).metrics()
        tried, more = _validated(bench, made.scoring, held_out, progress)
        metrics |= {f"validation_{name}": value for name, value in more.items()}
        card = _card(job, estimator, trained_on(learned, frame), metrics)
        card.write(made.folder)
        digest = assembly.models.resolve(str(made.folder)).digest
        trained = Trained(made.folder, card, estimator, made.example, digest, str(job.model), alias)
        about, commands = _kept(bench, trained, made, progress)
    progress.lap("total", progress.began)
    return TrainReport(
        job.key,
        tuple(one.slug for one in training),
        tuple(one.slug for one in validation),
        counts,
        tried,
        metrics,
        about,
        card.trained_on["digest"],
        progress.seconds,
        commands,
        tuple(progress.notes),
    )


def _alias(uri: str) -> str | None:
    return uri.rpartition("@")[2] if uri.startswith("models:/") and "@" in uri else None


def _read(bench: Bench, surveyed: Surveyed, progress: _Progress) -> tuple[pl.DataFrame, Counts]:
    """All training rows in memory: an estimator's fit wants them at once."""
    started, found, total = time.monotonic(), [], Counts()
    job, source = bench.assembly.job, bench.assembly.source
    for partition, files in surveyed.items():
        counts = Counts()
        for chunk in chunks(job, source, partition, files):
            found.append(chunk)
            counts += chunk.counts
        require_passable(bench.assembly, partition, counts)
        progress.tell(f"{partition}: {counts.scored:,} of {counts.rows_in:,} rows to learn from")
        total += counts
    if not total.scored:
        raise TrainingFailed(
            f"no row is left to learn from: {total.rows_in:,} in, {total.left_out:,} filtered, "
            f"{total.quarantined:,} quarantined",
            hint=f"look at the filters and the contract: {bench.assembly.command('check')}",
        )
    frame = training_frame(found, require_trainable(job))
    progress.lap("read", started)
    return frame, total


def _fitted(bench: Bench, frame: pl.DataFrame, progress: _Progress) -> Any:
    fit = bench.assembly.job.fit
    assert fit is not None
    progress.tell(f"fit on {frame.height:,} rows, {frame.estimated_size('mb'):,.1f} MB in memory")
    started = time.monotonic()
    try:
        with importable(bench.folder), redirect_stdout(sys.stderr):
            estimator = fit(frame.clone())
    except (Exception, SystemExit) as error:
        if isinstance(error, ScorelineError):
            raise
        raise TrainingFailed(
            f"fit raised {type(error).__name__}{_first_line(error)} ({_place_of(error)})",
            hint="mend fit in the job's file; it is given a Polars frame with the columns "
            f"{', '.join(frame.columns)} and returns a fitted estimator",
        ) from error
    if not callable(getattr(estimator, "predict", None)):
        pair = ", such as make_pipeline(vectorizer, estimator)" if isinstance(estimator, tuple) else ""
        raise TrainingFailed(
            f"fit returned {'nothing' if estimator is None else f'a {type(estimator).__name__}'}, which cannot predict",
            hint=f"let fit return the fitted estimator{pair}",
        )
    progress.tell(f"fit took {progress.lap('fit', started):.1f} s")
    return estimator


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return f": {text.splitlines()[0]}" if text else ""


def _place_of(error: BaseException) -> str:
    """The last line of the user's own code: below it is a library's."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    own = [one for one in frames if "site-packages" not in one.filename and Path(one.filename).is_file()] or frames[:1]
    return f"{Path(own[-1].filename).name}, line {own[-1].lineno}" if own else "in its call"


@dataclass(frozen=True, slots=True)
class _Made:
    """A model in a folder, loaded back from there.

    Attributes:
        folder: holds the model's file and the golden rows.
        file: name of the model's file.
        kind: of the model, for people.
        scoring: the model as scoring would use it.
        example: (a few rows, features).
    """

    folder: Path
    file: str
    kind: str
    scoring: Model
    example: pl.DataFrame


def _written(bench: Bench, estimator: Any, frame: pl.DataFrame, folder: Path) -> _Made:
    """Writes the model and its golden rows, whose predictions are those of the file and not of the object."""
    job = bench.assembly.job
    written = bench.writer.write(estimator, folder)
    model = _loaded(written.file.load, job, estimator, job.predict)
    golden = _golden(model, frame.drop(job.target or ""), estimator)
    golden.write_parquet(folder / GOLDEN)
    features = golden.drop(PREDICTED)
    kind = str(model.describe()["kind"])
    # A target is a value, so values are what is measured, whatever the job publishes.
    measured = model if job.predict == "value" else _loaded(written.file.load, job, estimator, "value")
    return _Made(folder, written.name, kind, _fastest(measured, features), features.head(EXAMPLE_ROWS))


def _card(job: Job, estimator: Any, dataset: dict[str, Any], metrics: dict[str, float]) -> Card:
    features = tuple(feature.declaration() for feature in job.features)
    target, versions, params = job.target or "", versions_used(), params_of(estimator)
    return Card(job.key, features, target, versions, dataset, params, metrics, predict=job.predict)


def _loaded(load: Callable[[Sequence[str], str], Model], job: Job, estimator: Any, predict: str) -> Model:
    try:
        return load([feature.name for feature in job.features], predict)
    except ModelInvalid as error:
        raise TrainingFailed(
            f"fit returned a {type(estimator).__name__} that cannot score: {error.message}", hint=error.hint
        ) from error


def _golden(model: Model, features: pl.DataFrame, estimator: Any) -> pl.DataFrame:
    """Rows spread evenly over the training rows, with what the loaded model predicts for them."""
    count = min(GOLDEN_ROWS, features.height)
    spread = pl.select(pl.int_range(count, dtype=pl.Int64) * features.height // count).to_series()
    rows = features[spread]
    try:
        inputs, _, predictions = predict_rows(model, rows, numbered(rows, 0), Rejects())
    except (ModelFailed, ModelInvalid) as error:
        unfitted = type(error.__cause__).__name__ == "NotFittedError"
        what = "is not fitted" if unfitted else f"cannot score the rows that it was trained on: {error.message}"
        raise TrainingFailed(
            f"fit returned a {type(estimator).__name__} that {what}",
            hint="call its fit before you return it" if unfitted else error.hint,
        ) from error
    if not inputs.height:
        raise TrainingFailed("the model predicts nothing finite for the rows that it was trained on")
    return inputs.with_columns(predictions.values.alias(PREDICTED))


def _fastest(model: Model, features: pl.DataFrame) -> Model:
    accelerated = model.accelerated()
    return accelerated if accelerated is not None and model.parity(accelerated, features).agrees else model


def _errors_of(model: Model, frame: pl.DataFrame, target: str) -> Errors:
    found, rejects = Errors(), Rejects()
    for part in frame.iter_slices(262_144):
        _, left, predictions = predict_rows(model, part.drop(target), numbered(part, 0), rejects)
        found.add(predictions.values, left[target])
    return found


def _validated(bench: Bench, model: Model, surveyed: Surveyed, progress: _Progress) -> tuple[Counts, dict[str, float]]:
    """Counts and metrics on the validation range, one unit at a time; as scoring does, without the rows it rejects."""
    job, found, total = bench.assembly.job, Errors(), Counts()
    for partition, files in surveyed.items():
        counts = Counts()
        for chunk in chunks(job, bench.assembly.source, partition, files):
            counts += chunk.counts
            if not chunk.features.height:
                continue
            rejects, rows = Rejects(), numbered(chunk.features.with_columns(chunk.target.alias(PREDICTED)), 0)
            _, left, predictions = predict_rows(model, chunk.features, rows, rejects)
            found.add(predictions.values, left[PREDICTED])
            lost = chunk.features.height - left.height
            counts += Counts(0, -lost, {}, lost, rejects.reasons, unseen=predictions.unseen)
        require_passable(bench.assembly, partition, counts)
        progress.tell(f"{partition}: tried on {counts.scored:,} of {counts.rows_in:,} rows")
        total += counts
    return total, found.metrics() if surveyed else {}


def _kept(bench: Bench, trained: Trained, made: _Made, progress: _Progress) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Where the model is kept, and what to do next."""
    about: dict[str, Any] = {"uri": None, "path": None, "version": None, "digest": trained.digest}
    about |= {"file": made.file, "kind": made.kind, "alias": trained.alias or _alias(trained.uri)}
    if bench.registry is None:
        return about | {"alias": None}, ()
    uri = bench.registry.log(trained)
    progress.tell(f"kept as {uri}")
    store = bench.assembly.models
    version = store.resolve(uri)
    try:
        store.fetch(version)
    except ModelUntrusted as error:
        if sha256_of(version.path / made.file) != sha256_of(trained.folder / made.file):
            raise  # the registry keeps something else than what was written
        bench.vouch(version)
        progress.notes.append(
            f"{error.message.partition(';')[0]}; trusted here by its digest, for this training wrote it"
        )
    about |= {"uri": uri, "path": str(version.path), "version": version.version, "digest": version.digest}
    return about, _commands(bench, trained, version)


def _commands(bench: Bench, trained: Trained, version: ModelVersion) -> tuple[str, ...]:
    job, assembly = bench.assembly.job, bench.assembly
    last = trained.card.trained_on["partitions"][-1]
    following = [] if job.partition == "named" else [job.grid.following(job.grid.parse(last))]
    model = [] if _means(assembly, str(job.model), version) else ["--model", version.uri]
    return (command(assembly.job_file, "run", *following, *assembly.invocation, *model),)


def _means(assembly: Assembly, uri: str, version: ModelVersion) -> bool:
    """Whether what the job names is the model that was just trained."""
    try:
        return assembly.models.resolve(uri).digest == version.digest
    except ScorelineError:
        return False
