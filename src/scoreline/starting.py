"""Starting: a job folder for somebody's own model and data, drafted, written and checked in one go."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoreline import durable
from scoreline.assemble import Choices, assemble, store_in
from scoreline.catalog import LEDGERS, find
from scoreline.check import Checked, check
from scoreline.config import home_of, load
from scoreline.drafting import Answers, Draft, draft
from scoreline.errors import ModelUntrusted, UsageError
from scoreline.models.folder import is_uri
from scoreline.models.trust import Trust
from scoreline.partition import SLUG

JOB_FILE = "job.py"


@dataclass(frozen=True, slots=True)
class Started:
    """What was made of a model and a sample.

    Attributes:
        file: the job file that was written.
        draft: what it declares, and what it could not.
        findings: what a check of the new job says.
    """

    file: Path
    draft: Draft
    findings: tuple[Checked, ...]

    @property
    def is_ready(self) -> bool:
        """Whether the job can run as it is."""
        return not self.draft.missing and all(finding.ok for finding in self.findings)


def start(
    folder: str | os.PathLike[str],
    data: str | os.PathLike[str],
    model: str | os.PathLike[str],
    *,
    name: str | None = None,
    features: Sequence[str] = (),
    row_id: str | None = None,
    given: Mapping[str, Sequence[str]] | None = None,
    trust: bool = False,
    force: bool = False,
) -> Started:
    """Writes ``job.py`` into a folder: a job that scores files like ``data`` with ``model``.

    Args:
        folder: of the job, made when it is not there.
        data: a Parquet, CSV or JSON-lines file with rows of the kind that will be scored; it stays where it is.
        model: a file, a folder, or a URI.
        name: of the job; by default the folder's.
        features: columns that the model reads, in the order of its training, for a model that does not tell.
        row_id: an input column that identifies rows.
        given: input of the model -> its column, or the columns that are joined to it, where nothing else decides.
        trust: record that the model is trusted: loading a pickle runs its code.
        force: replace a job file that is there.

    Raises:
        UsageError: there is a job file already, no data is there, or it cannot be matched with the model.
        ModelUntrusted: the model is a pickle, and nobody has trusted it.
        InputInvalid: the data cannot be read.
    """
    from scoreline.formats.sampling import read_sample
    from scoreline.models.sketching import sketched

    place = Path(folder).expanduser().absolute()
    file = place / JOB_FILE
    if file.exists() and not force:
        raise UsageError(f"{file} is there already", hint="give another folder, or replace it with --force")
    answers = Answers(_name(name or place.name), features, row_id, given or {})
    sample = read_sample(Path(data).expanduser().absolute())
    typed = str(model) if is_uri(str(model)) else str(Path(model).expanduser().absolute())
    kept = _kept(place, file, typed, trust=trust)
    made = draft(sample, sketched(kept), answers, place, _as_named(typed, place))
    durable.make_folder(place)
    with durable.written(file, durable=True) as handle:
        handle.write(made.text.encode())
    loaded = load(file)
    assembly = assemble(loaded, Choices(ledger=find(LEDGERS, "memory")()))
    findings = check(assembly, loaded.job.grid.parse(made.partition))
    return Started(file, made, tuple(findings))


def _name(text: str) -> str:
    if not SLUG.match(text) or "=" in text:
        raise UsageError(f"{text!r} cannot name a job", hint="give --name, of letters, digits and . _ -")
    return text


def _kept(place: Path, file: Path, typed: str, *, trust: bool) -> Any:
    home = home_of(file)
    record = Trust(home)
    store = store_in(place, home, record, "scoreline models trust")
    version = store.resolve(typed)
    if trust:
        record.add(version.digest, version.path)
    try:
        return store.fetch(version)
    except ModelUntrusted as error:
        raise ModelUntrusted(
            error.message,
            hint="if you know where it comes from, run the same command again with --trust",
            **error.facts,
        ) from error


def _as_named(typed: str, place: Path) -> str:
    """The model as the job names it: a path inside of its folder is relative, so that the folder can move."""
    path = Path(typed)
    return path.relative_to(place).as_posix() if not is_uri(typed) and path.is_relative_to(place) else typed
