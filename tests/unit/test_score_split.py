"""Scoring a split: a real file, a real source and a real sink."""

import json
import pickle
import resource
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.unit.samples import Doubling, constants, job

from scoreline import Field, between, computed, passthrough, prediction, row_id
from scoreline.abc import Batch, Predictions
from scoreline.errors import ConservationBroken, MemoryShort, ModelInvalid
from scoreline.models.function import FunctionFile
from scoreline.partition import Grid
from scoreline.rejects import REASONS, ROW
from scoreline.report import Counts
from scoreline.score_split import ScoreSplit
from scoreline.sinks.files import FileSink
from scoreline.slot import Slot
from scoreline.sources.parquet import ParquetSource
from scoreline.splits import Split
from scoreline.template import Template

IDS = [row_id("id"), passthrough("x", pl.Int64), prediction("p")]


@pytest.fixture
def place(tmp_path):
    """(task, split) over a real file of three row groups, a real source and a real sink."""
    rows = 10
    (tmp_path / "in").mkdir()
    (tmp_path / "receipts").mkdir()
    path = tmp_path / "in" / "2021-02.parquet"
    pl.DataFrame({"x": range(rows)}, schema={"x": pl.Int32}).write_parquet(path, row_group_size=4)
    template, grid = Template("{slug}.parquet"), Grid("month")
    source = ParquetSource(tmp_path / "in", template, grid)
    (only,) = source.splits(source.fingerprint(grid.parse("2021-02")), 1)
    sink = FileSink(tmp_path / "out", template)
    staging = sink.begin(Slot("trips", "2021-02", "2021-02.parquet"), 0, "work")
    declared = job(filters=[between("x", 2, 8)], output=IDS)
    task = ScoreSplit(
        declared,
        source,
        (sink,),
        (staging,),
        Doubling(),
        accelerate=False,
        constants=constants(),
        receipts=tmp_path / "receipts",
    )
    return task, only


def parts(report):
    return pl.concat(pl.read_parquet(Path(receipt.path).read_bytes()) for receipt in report.receipts)


def test_a_split_is_read_scored_and_written(place):
    task, only = place
    report = task(only)
    assert parts(report)["x"].to_list() == list(range(2, 9))
    assert report.counts == Counts(10, 7, {"x": 3})
    assert [receipt.rows for receipt in report.receipts] == [7]
    assert set(report.seconds) >= {"read", "predict", "write"}
    assert not report.resumed


def test_ids_that_came_as_small_integers_do_not_wrap(place):
    task, only = place
    wide = computed("far", pl.col("x") * 2_000_000_000, pl.Int64)
    report = replace(task, job=job(output=[prediction("p"), wide]))(only)
    assert parts(report)["far"].to_list() == [row * 2_000_000_000 for row in range(10)]


def test_a_split_that_was_scored_is_found_again(place):
    task, only = place
    first = task(only)
    again = replace(task, model=None)(only)  # nothing is loaded for it
    assert again == replace(first, resumed=True)


def harmed(path, harm):
    """One bit turned, one byte cut off, or no file at all."""
    content = path.read_bytes()
    path.unlink()
    if harm != "gone":
        path.write_bytes(content[:-1] + (bytes([content[-1] ^ 1]) if harm == "flipped" else b""))


@pytest.mark.parametrize("harm", ["flipped", "shorter", "gone"])
def test_a_split_whose_part_was_harmed_is_scored_again(place, harm):
    task, only = place
    path = Path(task(only).receipts[0].path)
    content = path.read_bytes()
    harmed(path, harm)
    report = task(only)
    assert not report.resumed
    assert path.read_bytes() == content


def test_a_torn_receipt_counts_as_none(place):
    task, only = place
    task(only)
    (task.receipts / "split-000000.json").write_text('{"index"')
    assert not task(only).resumed


def test_the_receipt_on_disk_is_the_report(place):
    task, only = place
    report = task(only)
    form = json.loads((task.receipts / "split-000000.json").read_text())
    assert form["report"] == json.loads(json.dumps(report.to_dict()))
    assert Split.from_dict(form["split"]) == only


def test_a_receipt_of_other_rows_is_not_taken_for_this_split(place):
    task, only = place
    task(only)
    path = task.receipts / "split-000000.json"
    form = json.loads(path.read_text())
    form["split"]["units"][0]["first_row"] += 1
    path.write_text(json.dumps(form))
    assert not task(only).resumed


def test_a_split_without_a_kept_row_writes_nothing_and_accounts_for_all(place):
    task, only = place
    report = replace(task, job=job(filters=[between("x", 50, 60)]))(only)
    assert (report.receipts, report.counts) == ((), Counts(10, 0, {"x": 10}))


def test_a_task_pickles(place):
    task, only = place
    assert parts(pickle.loads(pickle.dumps(task))(only)).height == 7


@dataclass(frozen=True)
class Losing:
    """A source that gives other rows than it promised."""

    frame: pl.DataFrame

    def read(self, split, columns):
        yield Batch(self.frame, 0)


@pytest.mark.parametrize("rows", [0, 9, 11])
def test_a_row_that_a_source_loses_or_makes_up_ends_the_split(place, rows):
    task, only = place
    losing = Losing(pl.DataFrame({"x": pl.Series(range(rows), dtype=pl.Int64)}))
    with pytest.raises(ConservationBroken, match="split 0 of"):
        replace(task, source=losing)(only)
    assert not (task.receipts / "split-000000.json").exists()


@dataclass(frozen=True)
class Shortening(Doubling):
    """A model that predicts some rows only."""

    rows: int = 0

    def predict(self, features):
        return Predictions(super().predict(features).values[: self.rows])


@pytest.mark.parametrize("rows", [0, 1, 6])
def test_a_model_that_forgets_a_row_ends_the_split(place, rows):
    task, only = place
    with pytest.raises(ModelInvalid, match=f"made {rows} predictions for 7 rows"):
        replace(task, model=Shortening(rows=rows))(only)


def test_the_accelerated_form_is_used_only_where_parity_was_shown(place):
    task, only = place
    forms = replace(task, model=Doubling({"slow": 1}, faster=Doubling({"fast": 1})))
    assert replace(forms, accelerate=False)(only).counts.unseen == {"slow": 1}
    (task.receipts / "split-000000.json").unlink()
    assert replace(forms, accelerate=True)(only).counts.unseen == {"fast": 1}


def test_an_accelerated_form_that_cannot_be_made_here_is_refused(place):
    task, only = place
    with pytest.raises(ModelInvalid, match="cannot be made here"):
        replace(task, accelerate=True)(only)


@pytest.mark.parametrize("accelerate", [True, False])
def test_only_an_accelerated_model_leaves_the_interpreter_free(place, accelerate):
    assert replace(place[0], accelerate=accelerate).releases_interpreter is accelerate


# --- rejected rows --------------------------------------------------------------------------------------------------


@pytest.fixture
def strict(place):
    """(task, split) of a job that rejects rows 0, 8 and 9."""
    task, only = place
    contract = [Field("x", pl.Int64, low=1, high=7)]
    return replace(task, job=job(contract=contract, filters=[between("x", 2, 9)], output=IDS)), only


def rejected(report):
    return pl.concat(pl.read_parquet(Path(receipt.path).read_bytes()) for receipt in report.quarantine)


def test_rejected_rows_are_set_aside_with_their_reasons(strict):
    task, only = strict
    report = task(only)
    assert parts(report)["x"].to_list() == list(range(2, 8))
    assert rejected(report).select("x", REASONS, ROW).rows() == [
        (0, ["x:below 1"], 0),
        (8, ["x:above 7"], 8),
        (9, ["x:above 7"], 9),
    ]
    assert report.counts == Counts(10, 6, {"x": 1}, 3, {"x:below 1": 1, "x:above 7": 2})
    assert [(receipt.sink, receipt.rows) for receipt in report.quarantine] == [(-1, 3)]


def test_rejected_rows_lie_among_the_receipts_and_not_where_sinks_publish(strict):
    task, only = strict
    assert Path(task(only).quarantine[0].path).parent == task.receipts


def test_a_split_without_a_rejected_row_sets_nothing_aside(place):
    task, only = place
    assert task(only).quarantine == ()


def test_a_split_whose_rows_are_all_rejected_is_written_nowhere_and_kept(place):
    task, only = place
    task = replace(task, job=job(contract=[Field("x", pl.Int64, low=100)], output=IDS))
    report = task(only)
    assert (report.receipts, report.counts.quarantined, rejected(report).height) == ((), 10, 10)
    assert replace(task, model=None)(only) == replace(report, resumed=True)


def test_a_split_with_rejected_rows_is_found_again(strict):
    task, only = strict
    first = task(only)
    assert replace(task, model=None)(only) == replace(first, resumed=True)


@pytest.mark.parametrize("harm", ["flipped", "shorter", "gone"])
def test_a_split_whose_rejected_rows_were_harmed_is_scored_again(strict, harm):
    task, only = strict
    path = Path(task(only).quarantine[0].path)
    content = path.read_bytes()
    harmed(path, harm)
    report = task(only)
    assert not report.resumed
    assert path.read_bytes() == content
    assert rejected(report).height == 3


# --- memory that runs out -------------------------------------------------------------------------------------------

ROOM = 768 << 20
"""Bytes that a model may take in a call: so many that what other threads take or give back meanwhile is no matter."""
calls: list = []


def hungry(features):
    """Twice x, for which it takes 256 KB a row; there is room for 3,000 of them."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + ROOM, before[1]))
    calls.append(features.height)
    try:
        np.empty(features.height << 18, dtype=np.uint8)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    return features["x"] * 2


def starving(features):
    """Never has enough."""
    calls.append(features.height)
    return np.empty(2**62, dtype=np.uint8)


@pytest.fixture
def wide(place, tmp_path):
    """(task, split) of two units, one of them with more rows than there is memory for."""
    task, _ = place
    calls.clear()
    path = tmp_path / "in" / "2021-02.parquet"
    pl.DataFrame({"x": range(270_000)}, schema={"x": pl.Int64}).write_parquet(path, row_group_size=262_144)
    first, second = task.source.splits(task.source.fingerprint(Grid("month").parse("2021-02")), 1)
    only = replace(first, units=first.units + second.units)
    assert [unit.rows for unit in only.units] == [262_144, 7_856]
    return replace(task, job=job(output=IDS)), only


def with_function(task, function):
    return replace(task, model=FunctionFile(function, "d" * 64, str(Path(__file__).parent)))


def test_a_split_whose_model_runs_out_of_memory_is_scored_in_smaller_calls_and_published_the_same(wide, caplog):
    task, only = wide
    plain = with_function(task, lambda features: features["x"] * 2)(only)
    then = [Path(receipt.path).read_bytes() for receipt in plain.receipts]
    (task.receipts / "split-000000.json").unlink()
    report = with_function(task, hungry)(only)
    assert report.receipts == plain.receipts
    assert [Path(receipt.path).read_bytes() for receipt in report.receipts] == then
    assert report.counts == Counts(270_000, 270_000)
    failed = [262_144 >> times for times in range(7)]
    assert calls[:7] == failed
    assert set(calls[7:]) == {2_048, 1_712}
    assert [f"{rows} rows a predict call" in text for rows, text in zip(failed[1:], caplog.messages, strict=False)]


def test_where_even_few_rows_are_too_many_the_run_is_told_and_may_be_tried_again(wide):
    task, only = wide
    with pytest.raises(MemoryShort, match="ran out of memory with 1,024 rows a predict call") as caught:
        with_function(task, starving)(only)
    assert calls == [262_144 >> times for times in range(9)]
    assert (caught.value.exit_code, caught.value.path) == (75, only.file.path)
    assert "--workers 1" in caught.value.hint
    assert not (task.receipts / "split-000000.json").exists()


def test_rows_for_which_a_model_runs_out_of_memory_are_not_taken_for_bad_ones(wide):
    task, only = wide

    def moody(features):
        calls.append(features.height)
        if len(calls) == 1:
            raise ValueError("odd")
        return np.empty(2**62, dtype=np.uint8)

    with pytest.raises(MemoryShort):
        with_function(task, moody)(only)
