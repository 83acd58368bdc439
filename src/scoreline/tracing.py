"""Tracing: from the id of a row to the publication that holds it, and on to what became of the row.

Published files are asked through one open handle each. It must not know adapters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

import polars as pl

from scoreline.abc import Batch
from scoreline.assembly import Assembly
from scoreline.audit import Outputs, is_intact, mending, now_published, path_of, standing
from scoreline.errors import FilesDamaged, InputInvalid, PredictionMissing, UsageError
from scoreline.explanation import PUBLISHED, Explanation, InputRow
from scoreline.fate import Case, id_column, made, now, rejected, told
from scoreline.partition import Partition
from scoreline.record import RunRecord
from scoreline.rejects import FILE, ROW
from scoreline.score import numbered, row_ids

_TRIED = 8
_KEY = re.compile(r"(?P<slug>.+)_(?P<ordinal>\d{1,9})-(?P<row>\d{1,18})", re.ASCII)


def explain(assembly: Assembly, outputs: Outputs, key: str, partition: Partition | None = None) -> Explanation:
    """How the prediction of a row came to be, or what became of the row.

    Args:
        assembly: of the job.
        outputs: where its files are.
        key: the declared id, else ``<slug>_<file ordinal>-<row number in the input>``.
        partition: look only into this one.

    Raises:
        PredictionMissing: there is no such row.
        FilesDamaged: the published file is gone, damaged or somebody else's.
    """
    if assembly.job.row_id is not None:
        return _by_declared_id(assembly, outputs, key, partition)
    match = _KEY.fullmatch(key)
    if match is None:
        form = f"{assembly.job.grid.example}_0-17"
        raise PredictionMissing(
            f"{key!r} is no row id of {assembly.job.key}",
            hint=f"row ids look like {form}: partition, file, row number in the input counted from 0",
        )
    try:
        own = assembly.job.grid.parse(match["slug"])
    except UsageError as error:
        raise PredictionMissing(f"there is no such partition: {error.message}", hint=error.hint) from error
    if partition not in {None, own}:
        raise PredictionMissing(f"{key} is a row of {own}, not of {partition}", hint="leave --partition out")
    ordinal, row = int(match["ordinal"]), int(match["row"])
    case = _case(assembly, outputs, f"{own}_{ordinal}-{row}", _published(assembly, outputs, own))
    return told(case, ordinal, row)


def _published(assembly: Assembly, outputs: Outputs, partition: Partition) -> list[RunRecord]:
    job = assembly.job.key
    found = standing(assembly.ledger, job, outputs, partition.slug)
    if not found:
        last = assembly.ledger.runs(job, partition.slug, limit=1)
        state = f"its last run is {last[0].state}" if last else "no run has scored it"
        hint = assembly.command("status") if last else assembly.command("run", partition)
        raise PredictionMissing(f"nothing is published for {job} {partition}: {state}", hint=hint)
    return found


def _case(assembly: Assembly, outputs: Outputs, key: str, records: Sequence[RunRecord]) -> Case:
    """Looks the key up in the newest of a partition's publications, through one open handle."""
    record, column = records[0], id_column(assembly.job)
    output = record.prepared[0]
    path = path_of(record, output, outputs)
    try:
        with path.open("rb") as handle:
            content = outputs.opened(path, handle)
            record, output = now_published(assembly.ledger, record, output, content.provenance)
            if not is_intact(handle, output):
                raise _damaged(assembly, record, f"{path} does not hold what run {record.run_id} has published")
            schema = content.schema()
            column = column if column in schema else None
            found = content.batches(pl.col(column).cast(pl.String) == key) if column else ()
            rows = pl.concat([pl.DataFrame(schema=schema), *found]) if column else None
    except OSError as error:
        what = f"{path} cannot be opened ({error.strerror}), though run {record.run_id} has published it"
        raise _damaged(assembly, record, what) from error
    return Case(assembly, record, path, key, rows, tuple(records[1:]))


def _damaged(assembly: Assembly, record: RunRecord, what: str) -> FilesDamaged:
    verify = assembly.command("verify", record.partition)
    return FilesDamaged(what, hint=f"{verify}; to make it anew: {mending(assembly, record)}")


def _by_declared_id(assembly: Assembly, outputs: Outputs, key: str, partition: Partition | None) -> Explanation:
    """Looks into publications, newest partition first; then into quarantine files and inputs."""
    publications = _newest_first(assembly, outputs, partition)
    silent: list[Case] = []
    damaged: list[FilesDamaged] = []
    for records in publications:
        try:
            case = _case(assembly, outputs, key, records)
        except FilesDamaged as error:
            damaged.append(error)
            continue
        if case.is_published:
            return _told_by_id(case, [*_in_input(case)])
        silent.append(case)
    for case in silent:
        if found := [*_in_quarantine(case), *_in_input(case)]:
            return _told_by_id(case, found)
    if damaged:
        raise damaged[0]  # it may have been in there
    where = f"in {partition}" if partition else f"in any of the {len(publications)} published partitions"
    raise PredictionMissing(
        f"no row of {assembly.job.key} has the {assembly.job.row_id} {key!r} {where}",
        hint=assembly.command("status"),
    )


def _newest_first(assembly: Assembly, outputs: Outputs, partition: Partition | None) -> list[list[RunRecord]]:
    """The publications of each partition; named partitions have no order but that of their publication."""
    if partition is not None:
        return [_published(assembly, outputs, partition)]
    slots: dict[str, list[RunRecord]] = {}
    for record in standing(assembly.ledger, assembly.job.key, outputs):
        slots.setdefault(record.partition, []).append(record)
    named_ones = assembly.job.grid.spec == "named"
    return [slots[slug] for slug in (slots if named_ones else sorted(slots, reverse=True))]


def _told_by_id(case: Case, found: Sequence[tuple[int, int]]) -> Explanation:
    published = 0 if case.rows is None else case.rows.height
    if published > 1:
        case.notes.append(f"{published} published rows have this id; the first is shown")
    places = list(dict.fromkeys(found))
    if len(places) > 1:
        rows = ", ".join(f"file {ordinal} row {row}" for ordinal, row in places[:_TRIED])
        case.notes.append(f"{len(places)} input rows have this id: {rows}; the first is shown that this can be true of")
        if case.is_published:
            rejected_places = set(_in_quarantine(case))
            places = [place for place in places if place not in rejected_places] or places
    if places:
        tried = (told(case, *place) for place in places[:_TRIED])
        # What was filtered out has no features.
        fitting = next((one for one in tried if one.input.features or not case.is_published), None)
        return fitting or told(case, *places[0])
    names = ", ".join(file.path for file in case.files)
    changed = "; ".join(detail for _, detail in (now(case, file) for file in case.files) if detail)
    return made(
        case,
        PUBLISHED,
        "is published",
        InputRow(names, None, unchanged=not changed, detail=changed or "no row has this id"),
    )


def _in_quarantine(case: Case) -> list[tuple[int, int]]:
    rows = rejected(case, None)
    paths = [file.path for file in case.files]
    return [(paths.index(file), row) for file, row in rows.select(FILE, ROW).iter_rows() if file in paths]


def _in_input(case: Case) -> Iterator[tuple[int, int]]:
    """File ordinal and row number of the rows with the case's declared id, in files that have not changed."""
    assert case.job.row_id is not None
    for ordinal, file in enumerate(case.files):
        there, _ = now(case, file)
        if there is None:
            continue
        with suppress(InputInvalid):  # the job reads other columns by now
            for split in case.assembly.source.splits((there,), 1):
                for batch in case.assembly.source.read(split, [case.job.row_id]):
                    yield from ((ordinal, row) for row in _numbers_of(case, batch))


def _numbers_of(case: Case, batch: Batch) -> list[int]:
    frame = numbered(batch.frame, batch.first_row)
    ids = row_ids(case.job, frame.schema, case.record.partition, 0)
    return frame.filter(ids == case.key)[ROW].to_list()
