"""The contracts: what a source, sink, model, engine, ledger or observer guarantees to the core, and what it does not.

The core knows adapters by these protocols alone. Every implementation runs the suite of its contract in
`scoreline.testing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

import polars as pl

from scoreline.card import Card
from scoreline.partition import Partition
from scoreline.provenance import Provenance
from scoreline.record import Claim, Holder, Lease, NewRun, Prepared, RunHandle, RunRecord
from scoreline.report import Receipt, SplitReport
from scoreline.slot import Slot
from scoreline.splits import FileIdentity, Split, Unit
from scoreline.template import Template

Fence = Callable[[], None]
"""Raises `LeaseLost` unless the calling run still holds its partition."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one unit, in input order.

    Attributes:
        frame: (rows, asked columns), integers as Int64 and floats as Float64. Where a record of a text format could
            not be read, its values are null, and `records.BROKEN` and `records.RAW` are two more columns.
        first_row: row number of the first row in its file, before filters.
    """

    frame: pl.DataFrame
    first_row: int


class Source(Protocol):
    """Where the rows of a job come from.

    Guarantees: rows come in input order, each once, with the row numbers that they have in their file, whatever the
    splits; a record that is no row comes as one, with its reason. A file that changed since ``fingerprint`` raises
    `InputChanged` before the split's last batch is used. Until a partition's input changes its fingerprint is the same,
    also after ``done``. Not guaranteed: that two files of a partition have the same types, that what is there now is
    all that will come, or that input stays where it was once it is done. Sources travel to workers, so they pickle; one
    may stand around another, which reads.
    """

    def partitions(self) -> list[Partition]:
        """The partitions whose input is there, in order."""
        ...

    def fingerprint(self, partition: Partition) -> tuple[FileIdentity, ...]:
        """Identity and row count of each input file, sorted by path.

        Raises:
            InputMissing: there is none (yet).
            InputInvalid: a file cannot be read.
        """
        ...

    def splits(self, files: Sequence[FileIdentity], workers: int) -> list[Split]:
        """Cuts the files into splits, numbered from 0 in the order of their rows; several for each worker."""
        ...

    def read(self, split: Split, columns: Sequence[str]) -> Iterator[Batch]:
        """Yields the units of a split.

        Raises:
            InputInvalid: a column is missing, or the file is damaged.
            InputChanged: the file is not the planned one.
        """
        ...

    def done(self, partition: Partition, files: Sequence[FileIdentity]) -> tuple[str, ...]:
        """Hears that the partition is published, made of these files; idempotent.

        A source may put them away. It touches no file that is not one of these any more, and gives back the same
        fingerprint as before.

        Returns:
            What was done with them, in sentences; nothing when there was nothing to do.

        Raises:
            OSError: a file could not be put away; what is published stays so.
        """
        ...


class FileSource(Source, Protocol):
    """A source that reads single files, so that another one can say which."""

    def identify(self, path: Path) -> FileIdentity:
        """Identity and row count of one file.

        Raises:
            InputMissing: it is not there.
            InputInvalid: it cannot be read.
        """
        ...


class InputFormat(Protocol):
    """How files of one format are read, by whichever source finds them.

    Guarantees: rows come in the order of the file, each once, and as many as ``identify`` counted; memory depends on
    the unit, not on the file. Not guaranteed: that the file stays what it is; the source looks after that.
    """

    def identify(self, handle: BinaryIO, path: str) -> tuple[str, int]:
        """SHA-256 that changes with the content, and the number of rows, counted outside the read path.

        Raises:
            InputInvalid: the file cannot be read.
        """
        ...

    def units(self, handle: BinaryIO, file: FileIdentity) -> list[Unit]:
        """Cuts a file into units, which depend on it alone.

        Raises:
            InputInvalid: the file cannot be read.
            InputChanged: it is not the identified one.
        """
        ...

    def cut(self, units: Sequence[Unit], per_split: int) -> list[tuple[Unit, ...]]:
        """Groups a file's units into splits of about ``per_split``, as far as they can be read apart."""
        ...

    def read(self, handle: BinaryIO, split: Split, columns: Sequence[str]) -> Iterator[tuple[Unit, pl.DataFrame]]:
        """Yields the units of a split with their rows, as `Batch` describes them.

        Raises:
            InputInvalid: a column is missing, or the file is damaged.
        """
        ...


@runtime_checkable
class KeepsProcessed(Protocol):
    """A source that moves the input of what is published to another place, from where `prune` removes it.

    Not guaranteed: that all of it is still there, since people may remove what was put away.
    """

    def kept(self, files: Sequence[FileIdentity]) -> list[Path]:
        """Where these files were put when they had been published; never a file that waits to be scored."""
        ...


@dataclass(frozen=True, slots=True)
class Staging:
    """A sink's invisible place for one run's parts.

    Attributes:
        slot: what they will replace.
        sink: position of the sink in the job.
        folder: where parts lie; keyed by what was scored, so that a later run of the same work finds them.
    """

    slot: Slot
    sink: int
    folder: str


class Sink(Protocol):
    """Where predictions go.

    Guarantees: nothing that ``begin``, ``write`` and ``prepare`` make can be seen by readers of the published data;
    ``commit`` shows the whole content at once, calls the fence while nobody else can publish to that place, and may be
    repeated. What is published can say which run made it, so that neither ``commit`` nor ``remove`` touches content of
    anybody else's. Not guaranteed: that two sinks of one job change at the same instant, that bytes which are damaged
    later are noticed (`scoreline.audit` looks), or that who opens a path twice meets one content. Sinks travel to
    workers, and are called from several threads: ``prepare`` may go on while others ``write``.
    """

    @property
    def template(self) -> Template:
        """Names the slot."""
        ...

    def begin(self, slot: Slot, sink: int, work: str) -> Staging:
        """Opens staging for one run's work; parts of earlier attempts at the same work are kept.

        Raises:
            StorageUnfit: staging cannot be moved into the output's place in one step.
            OutputForeign: the place holds something that no run of the slot published.
        """
        ...

    def write(self, staging: Staging, key: str, frame: pl.DataFrame) -> Receipt:
        """Writes one part, whole or not at all. The same key always stands for the same rows."""
        ...

    def prepare(self, staging: Staging, receipts: Iterable[Receipt], provenance: Callable[[], Provenance]) -> Prepared:
        """Joins the parts in the order of the receipts into the content to publish, on stable storage.

        Args:
            staging: where the parts lie.
            receipts: they may come one by one, while other parts are still being written. An error that comes instead
                of the next one ends it, and nothing joined is left.
            provenance: what the content will tell of itself; known from when the last receipt was taken.

        Raises:
            StagingLost: a part is gone or not as its receipt says.
        """
        ...

    def commit(self, prepared: Prepared, token: int, fence: Fence) -> None:
        """Publishes the prepared content in one step, or finds that this already happened.

        Raises:
            LeaseLost: the fence refused, or the place holds the content of a newer token.
            OutputForeign: the place holds something that no run published.
            StagingLost: the staged content is gone and was not published.
        """
        ...

    def abort(self, slot: Slot, keep: Sequence[str] = ()) -> None:
        """Removes all staging of the slot's job and partition, but for the ``keep`` files; idempotent.

        What is published stays. Whoever calls it holds the partition, so that nobody stages anything meanwhile.
        """
        ...

    def current(self, path: str) -> Provenance | None:
        """What the published content at this rendered path says of itself; None when there is none."""
        ...

    def staged(self, slot: Slot, keep: Sequence[str] = ()) -> dict[str, int]:
        """What ``abort`` would remove: path -> bytes."""
        ...

    def remove(self, path: str, run_id: str, *, dry_run: bool = False) -> dict[str, int]:
        """Removes what this run published at a rendered path, and nothing else; idempotent.

        Whoever has the content open reads it to its end. Staging stays, and so does content whose maker cannot be told.

        Args:
            path: rendered.
            run_id: whose content it has to be; any other stays.
            dry_run: only tell.

        Returns:
            Path -> bytes of what was removed.
        """
        ...


class OutputFormat(Protocol):
    """How rows become a published file, part by part.

    Guarantees: the joined file has the rows of all parts in their order, each value as it was. Not guaranteed: that the
    file can say who made it; what ``join`` returns tells. Formats travel to workers, so they pickle.
    """

    def write(self, frame: pl.DataFrame, handle: BinaryIO) -> None:
        """Writes one part.

        Raises:
            LossyCast: the format cannot hold a value.
        """
        ...

    def join(self, parts: Iterable[Path], target: BinaryIO, provenance: Callable[[], Provenance]) -> Any:
        """Writes the parts as one file, with what the file can say of itself; memory does not grow with them.

        Args:
            parts: in their order; the next one may not be written yet.
            target: where to.
            provenance: known from when the last part was taken.

        Returns:
            ``rows`` as they are counted in what was written, ``bytes``, ``sha256``, and ``form``: None when the
            provenance lies in the file, else what has to be kept beside it.

        Raises:
            ValueError: a part is damaged, or has other columns.
        """
        ...


class Content(Protocol):
    """An open published file, whatever its format. Not guaranteed: that bytes which are merely wrong are noticed."""

    @property
    def provenance(self) -> Provenance | None:
        """What the file says of itself, also when it is damaged; None when it says nothing."""
        ...

    def schema(self) -> pl.Schema:
        """The published columns and their declared types."""
        ...

    def frame(self) -> pl.DataFrame:
        """All rows, in the declared types.

        Raises:
            ValueError: the file is damaged.
        """
        ...

    def batches(self, where: pl.Expr | None = None) -> Iterator[pl.DataFrame]:
        """The rows for which ``where`` holds, some at a time, in order. The file has to be intact."""
        ...

    def may_be(self, size: int) -> bool:
        """Whether a file that says nothing may be the published one of ``size`` bytes, cut short or changed."""
        ...


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a model says of some rows.

    Attributes:
        values: (rows,) one prediction per row, in order; a Struct where there are several numbers, with a field for
            each class, named as text, or for each output, named by its position.
        unseen: feature -> rows with a category that the model has never seen.
    """

    values: pl.Series
    unseen: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parity:
    """Evidence that an accelerated form agrees with its original, or does not.

    Attributes:
        agrees: the verdict.
        rows: rows compared.
        max_difference: largest absolute difference of two predictions.
        detail: how it was compared, or what differed.
        at: when, in ISO 8601; "" where nobody has noted it.
    """

    agrees: bool
    rows: int
    max_difference: float
    detail: str
    at: str = ""


class Model(Protocol):
    """A trained model in memory. Guarantees: the same rows give the same predictions; threads may share it."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Feature columns it reads."""
        ...

    def predict(self, features: pl.DataFrame) -> Predictions:
        """Predicts (rows, inputs) -> (rows,).

        Raises:
            ModelFailed: the model raised; its error is the cause.
        """
        ...

    def accelerated(self) -> Model | None:
        """A faster form that should agree, or None."""
        ...

    def parity(self, candidate: Model, features: pl.DataFrame) -> Parity:
        """Compares this original with an accelerated form on real rows and made-up edges."""
        ...

    def describe(self) -> dict[str, Any]:
        """Kind, inputs, versions and size, for people."""
        ...


@runtime_checkable
class TellsWhy(Model, Protocol):
    """A model that is compiled where that is known to be exact."""

    def uncompiled(self) -> str:
        """Why it has no compiled form, as a sentence without its full stop; "" where it has one."""
        ...


@runtime_checkable
class TakesParts(Model, Protocol):
    """A form that can read two crossed whole numbers as they are, instead of their joined text."""

    @property
    def parts(self) -> frozenset[str]:
        """Features that are given as a struct of two Int64 fields."""
        ...

    def in_parts(self, separators: Mapping[str, str]) -> Model:
        """The same form for features in parts, as far as it can: feature -> what joins the text."""
        ...


@dataclass(frozen=True, slots=True)
class Compiled:
    """A form of a model that computes what the model would, and what was shown of it.

    Attributes:
        form: the model's accelerated form, ready to score.
        about: what the model itself says of itself.
        notes: of vetting.
        shown: job and types of its input -> evidence that the form agrees with the model there.
    """

    form: Model
    about: dict[str, Any]
    notes: tuple[str, ...] = ()
    shown: Mapping[str, Parity] = field(default_factory=dict)


class ModelFile(Protocol):
    """A pinned model that any process can load: small, and it pickles."""

    def card(self) -> Card | None:
        """What training recorded beside the model, None for a bare file."""
        ...

    def load(self, features: Sequence[str], predict: str = "value") -> Model:
        """The model, checked against the job's feature names; kept in memory per process.

        Args:
            features: names of the job's features, in order.
            predict: what is asked of it, one of `scoreline.job.PREDICTS`.

        Raises:
            ModelInvalid: it cannot score these features.
        """
        ...

    def compiled(self, features: Sequence[str], predict: str = "value") -> Compiled | None:
        """What `keep` has kept, if it was made of this very model by the versions that run now."""
        ...

    def keep(self, features: Sequence[str], compiled: Compiled, predict: str = "value") -> None:
        """Keeps a form for later runs, as far as it can be kept; a run never fails for that."""
        ...

    def forget(self, features: Sequence[str], predict: str = "value") -> None:
        """Removes what `keep` has kept, because it disagreed with the model; idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A model URI resolved to one content.

    Attributes:
        uri: as the job names it.
        digest: SHA-256 over sorted relative paths and hashes of the files that are loaded.
        version: what output columns call it: the store's name for it, else 12 hex digits of the digest.
        path: where the content lies now, a file or a folder.
        size: bytes.
    """

    uri: str
    digest: str
    version: str
    path: Path
    size: int


class ModelStore(Protocol):
    """Where models come from."""

    def resolve(self, uri: str) -> ModelVersion:
        """Pins what the URI means now.

        Raises:
            ModelMissing: nothing there.
        """
        ...

    def fetch(self, version: ModelVersion) -> ModelFile:
        """The pinned content, kept so that a later change of the URI's content changes nothing.

        Raises:
            ModelUntrusted: it is a pickle that nobody has trusted.
        """
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """A model that has been written to a folder.

    Attributes:
        file: loads it as scoring does, trusted.
        name: of the file in the folder.
        needs_trust: types in it that are not loaded until somebody trusts the model; a pickle needs trust anyway.
    """

    file: ModelFile
    name: str
    needs_trust: tuple[str, ...] = ()


class ModelWriter(Protocol):
    """Writes what ``fit`` has made. Guarantees: the written file alone gives the same predictions elsewhere."""

    def write(self, estimator: Any, folder: Path) -> Written:
        """Writes one model file into a folder.

        Raises:
            TrainingFailed: it cannot be kept.
        """
        ...


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that training has written, ready to be kept.

    Attributes:
        folder: holds the model file, ``scoreline.json`` (the card) and ``golden.parquet``; see `scoreline.card`.
        card: the same card.
        estimator: the object that the job's ``fit`` made.
        example: (a few rows, features), for a signature.
        digest: of the folder, as a model store tells it.
        uri: the model as the job names it: a path, or ``models:/name@alias``.
        alias: under which others shall find it, None for the one that the URI names.
    """

    folder: Path
    card: Card
    estimator: Any
    example: pl.DataFrame
    digest: str
    uri: str
    alias: str | None = None


class Registry(Protocol):
    """Where trained models are kept. Guarantees: nothing can be loaded under the returned URI before it is complete."""

    def check(self, uri: str, alias: str | None) -> None:
        """Refuses before the fit what ``log`` would refuse after it.

        Raises:
            UsageError: nothing can be kept under this name, or no alias given to it.
            StorageFailed: the registry does not answer.
        """
        ...

    def log(self, trained: Trained) -> str:
        """Keeps a trained model; returns the URI by which it can be scored and that never means another one."""
        ...


class Engine(Protocol):
    """Where splits are scored. It says where a function runs, and nothing else."""

    @property
    def workers(self) -> int:
        """Splits scored at the same time."""
        ...

    def map(self, task: Callable[[Split], SplitReport], splits: Sequence[Split]) -> Iterator[SplitReport]:
        """Yields reports as splits end, in any order; the first error ends the rest and is raised.

        Raises:
            WorkerDied: a worker ended without a word.
            SplitHung: a split took longer than the engine was told that it may.
        """
        ...


class Ledger(Protocol):
    """Runs, claims and receipts.

    Guarantees: at most one claim of a (job, partition) is valid at any time; tokens of a (job, partition) only grow;
    ``record`` checks the token and changes the state in one step; a failed call changes nothing.
    Not guaranteed: that an owner whose lease ran out notices before it calls again.
    """

    id: str
    """Tells this ledger from every other one."""

    def claim(self, new: NewRun, lease: Lease, takeover: int | None = None) -> Claim:
        """Takes the partition in one step, if it is free, expired, or held by the dead owner of token ``takeover``.

        A run of the partition that is prepared and not published is handed over instead of the new one; a run that
        was running becomes abandoned. With ``new.releases`` the claim is for that refused run, which becomes prepared;
        with ``new.revisits`` for that run, which stays as it is.

        Raises:
            LeaseLost: there is no such run to revisit.
            Busy: another run holds it.
            NotReleasable: the run to release is neither refused nor prepared, or its slot was published anew since.
        """
        ...

    def renew(self, handle: RunHandle, lease: Lease) -> None:
        """Extends the lease, by a process or parked.

        Raises:
            LeaseLost: the claim is not the newest any more.
        """
        ...

    def record(
        self,
        handle: RunHandle,
        state: str,
        facts: dict[str, Any] | None = None,
        prepared: Sequence[Prepared] = (),
    ) -> None:
        """Moves the run to ``state`` and adds facts; what `record.ENDED` has releases the claim in the same step.

        Raises:
            LeaseLost: the claim is not the newest any more, or the state may not follow.
        """
        ...

    def runs(
        self,
        job: str | None = None,
        partition: str | None = None,
        *,
        run_id: str | None = None,
        state: str | None = None,
        limit: int = 100,
    ) -> list[RunRecord]:
        """The latest runs that have all that is given, newest first."""
        ...

    def holder(self, job: str, partition: str) -> Holder | None:
        """Who holds the partition, None when it is free or its lease ran out."""
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a run.

    Attributes:
        kind: ``opened``, ``planned``, ``split``, ``prepared``, ``published``, ``ended`` or ``note``.
        handle: the run.
        facts: what there is to say of it.
    """

    kind: str
    handle: RunHandle
    facts: dict[str, Any] = field(default_factory=dict)


class Observer(Protocol):
    """Hears of a run: progress, log, metrics. Whatever it raises is logged and changes nothing."""

    def on(self, event: Event) -> None:
        """Hears one event, in the driver process."""
        ...
