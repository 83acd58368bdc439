"""Quarantine: files of rejected rows, how they are made and found again."""

import io
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from scoreline import durable, quarantine
from scoreline.errors import FilesDamaged, InputMissing, StagingLost, UsageError
from scoreline.ledgers.memory import MemoryLedger
from scoreline.owner import Owner
from scoreline.record import FAILED, PREPARED, PUBLISHED, REFUSED, Lease, NewRun, RunHandle
from scoreline.rejects import FILE, REASONS, ROW
from scoreline.report import Receipt

HANDLE = RunHandle("run-1", 1, "trips", "2021-02")
HOME = Path("elsewhere")


def rejected(columns, first_row=0, file="in/a.parquet", reasons=("x:null",)):
    """(rejected rows, columns + reasons, file, row)."""
    rows = pl.DataFrame(columns)
    numbers = pl.int_range(first_row, first_row + rows.height, dtype=pl.Int64, eager=True)
    lists = pl.Series([list(reasons)] * rows.height, dtype=pl.List(pl.String))
    return rows.with_columns(lists.alias(REASONS), pl.lit(file).alias(FILE), numbers.alias(ROW))


@pytest.fixture
def part(tmp_path):
    """A function that writes a part, and gives its receipt."""
    (tmp_path / "work").mkdir()

    def write(frame):
        path = tmp_path / "work" / f"rejected-{len(list((tmp_path / 'work').iterdir())):06d}.part"
        frame.write_parquet(path)
        return Receipt(-1, str(path), frame.height, path.stat().st_size, durable.sha256_of(path))

    return write


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def read(made):
    with Path(made["path"]).open("rb") as handle:
        return pl.read_parquet(handle)


# --- making ---------------------------------------------------------------------------------------------------------


def test_parts_are_joined_in_their_order(part, home):
    frames = [rejected({"x": [first, first + 1]}, first) for first in (20, 0, 10)]
    receipts = [part(frame) for frame in frames]
    made = quarantine.publish(home, HANDLE, [receipts[1], receipts[2], receipts[0]])
    assert read(made).equals(pl.concat([frames[1], frames[2], frames[0]]))
    assert made["rows"] == 6


def test_the_file_lies_in_the_home_by_job_partition_and_run(part, home):
    made = quarantine.publish(home, HANDLE, [part(rejected({"x": [1]}))])
    path = home / "quarantine" / "trips" / "2021-02" / "run-1.parquet"
    assert made == {"path": str(path), "rows": 1, "size": path.stat().st_size, "sha256": durable.sha256_of(path)}
    assert [one.name for one in path.parent.iterdir()] == ["run-1.parquet"]


def test_making_it_again_changes_nothing(part, home):
    receipts = [part(rejected({"x": [n]}, n)) for n in range(3)]
    first = quarantine.publish(home, HANDLE, receipts)
    assert quarantine.publish(home, HANDLE, receipts) == first


def test_runs_of_a_partition_have_files_of_their_own(part, home):
    first = quarantine.publish(home, HANDLE, [part(rejected({"x": [1]}))])
    other = quarantine.publish(home, RunHandle("run-2", 2, "trips", "2021-02"), [part(rejected({"x": [2]}))])
    assert [read(made)["x"].to_list() for made in (first, other)] == [[1], [2]]


def test_a_part_that_is_gone_leaves_no_file_and_no_trace(part, home):
    receipts = [part(rejected({"x": [n]}, n)) for n in range(2)]
    Path(receipts[1].path).unlink()
    with pytest.raises(StagingLost, match="rejected rows are gone"):
        quarantine.publish(home, HANDLE, receipts)
    assert list((home / "quarantine" / "trips" / "2021-02").iterdir()) == []


def test_a_part_that_is_gone_leaves_an_earlier_file_as_it_is(part, home):
    receipts = [part(rejected({"x": [n]}, n)) for n in range(2)]
    first = quarantine.publish(home, HANDLE, receipts)
    Path(receipts[0].path).unlink()
    with pytest.raises(StagingLost):
        quarantine.publish(home, HANDLE, receipts)
    assert durable.sha256_of(Path(first["path"])) == first["sha256"]


@pytest.mark.parametrize("harm", [b"no parquet at all", b"", b"PAR1" * 20])
def test_a_part_that_is_damaged_leaves_no_file_and_says_so(part, home, harm):
    receipts = [part(rejected({"x": [n]}, n)) for n in range(2)]
    Path(receipts[1].path).write_bytes(harm)
    with pytest.raises(StagingLost):
        quarantine.publish(home, HANDLE, receipts)
    assert list((home / "quarantine" / "trips" / "2021-02").iterdir()) == []


# --- files of one partition that differ -----------------------------------------------------------------------------

BIG = 2**53 + 1


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (pl.Series([BIG]), pl.Series([0.5]), [str(BIG), "0.5"]),
        (pl.Series([1], dtype=pl.Int32), pl.Series([BIG], dtype=pl.Int64), ["1", str(BIG)]),
        (pl.Series([2**64 - 1], dtype=pl.UInt64), pl.Series([-1]), [str(2**64 - 1), "-1"]),
        (pl.Series([1]), pl.Series(["N/A"]), ["1", "N/A"]),
        (pl.Series([0.1], dtype=pl.Float32), pl.Series([0.1]), ["0.1", "0.1"]),
        (pl.Series([True]), pl.Series(["yes"]), ["true", "yes"]),
        (pl.Series([Decimal("1.10")]), pl.Series([1]), ["1.10", "1"]),
        (
            pl.Series([datetime(2021, 2, 1)], dtype=pl.Datetime("us")),  # noqa: DTZ001 - source times are naive
            pl.Series([datetime(2021, 2, 1)], dtype=pl.Datetime("ns")),  # noqa: DTZ001
            ["2021-02-01 00:00:00.000000", "2021-02-01 00:00:00.000000000"],
        ),
    ],
)
def test_where_types_differ_values_become_text_and_are_not_rounded(part, home, left, right, expected):
    receipts = [part(rejected({"x": values}, file=f"in/{n}.parquet")) for n, values in enumerate((left, right))]
    made = read(quarantine.publish(home, HANDLE, receipts))
    assert made["x"].to_list() == expected
    assert made[FILE].to_list() == ["in/0.parquet", "in/1.parquet"]


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([BIG]),
        pl.Series([float("nan")]),
        pl.Series(["a"]),
        pl.Series([datetime(2021, 2, 1)]),  # noqa: DTZ001 - source times are naive
        pl.Series([b"\x00\xff"]),
        pl.Series([[1, 2]]),
        pl.Series([{"a": 1}]),
    ],
)
def test_a_column_of_nulls_takes_the_type_of_the_other_file(part, home, values):
    receipts = [part(rejected({"x": column})) for column in (pl.Series([None]), values)]
    made = read(quarantine.publish(home, HANDLE, receipts))
    assert made["x"].equals(pl.concat([values.clear(), pl.Series([None], dtype=values.dtype), values]).alias("x"))


def test_where_all_files_have_nulls_alone_they_stay(part, home):
    made = read(quarantine.publish(home, HANDLE, [part(rejected({"x": pl.Series([None])})) for _ in range(2)]))
    assert made["x"].to_list() == [None, None]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (pl.Series([[1, 2]]), pl.Series([["a"]]), ['{"x":[1,2]}', '{"x":["a"]}']),
        (pl.Series([{"a": 1}]), pl.Series([{"a": 0.5, "b": 2}]), ['{"x":{"a":1}}', '{"x":{"a":0.5,"b":2}}']),
        (pl.Series([[1]]), pl.Series([1]), ['{"x":[1]}', "1"]),
        (pl.Series([b"\x00\xff"]), pl.Series(["a"]), ["00ff", "a"]),
    ],
)
def test_lists_structs_and_bytes_become_text_too(part, home, left, right, expected):
    receipts = [part(rejected({"x": values})) for values in (left, right)]
    assert read(quarantine.publish(home, HANDLE, receipts))["x"].to_list() == expected


def test_files_with_their_columns_in_another_order_are_joined_by_name(part, home):
    frame = rejected({"x": [1], "y": [2]})
    receipts = [part(frame), part(frame.select("y", "x", REASONS, FILE, ROW))]
    assert read(quarantine.publish(home, HANDLE, receipts)).equals(pl.concat([frame, frame]))


# --- finding --------------------------------------------------------------------------------------------------------


@pytest.fixture
def ledger():
    return MemoryLedger()


def ended(ledger, run_id, state, rows=2, partition="2021-02", job="trips"):
    """A run with (or without) rejected rows, in a state."""
    handle = ledger.claim(NewRun(run_id, job, partition, "missing"), Lease(60.0, Owner.current())).handle
    file = {"path": f"/home/{run_id}.parquet", "rows": rows, "sha256": "f" * 64} if rows else None
    facts = {"quarantine": file, "counts": {"reasons": {"x:null": rows}}}
    if state == PUBLISHED:
        ledger.record(handle, PREPARED, facts)
    ledger.record(handle, state, facts)
    if state == PREPARED:
        ledger.renew(handle, Lease(0.0, None))


def found(ledger, *arguments, **named):
    return [one.run_id for one in quarantine.listed(HOME, ledger, "trips", *arguments, **named)]


@pytest.mark.parametrize("state", [PUBLISHED, PREPARED, REFUSED])
def test_the_rejected_rows_of_a_run_that_scored_all_are_listed(ledger, state):
    ended(ledger, "run-1", state)
    (one,) = quarantine.listed(HOME, ledger, "trips")
    assert one.to_dict() == {
        "job": "trips",
        "partition": "2021-02",
        "run_id": "run-1",
        "state": state,
        "rows": 2,
        "reasons": {"x:null": 2},
        "path": "/home/run-1.parquet",
        "sha256": "f" * 64,
    }


def test_a_run_that_failed_is_not_listed_and_hides_no_other(ledger):
    ended(ledger, "run-1", PUBLISHED)
    ended(ledger, "run-2", FAILED)
    assert found(ledger) == ["run-1"]


def test_of_each_partition_the_newest_run_counts(ledger):
    ended(ledger, "run-1", PUBLISHED)
    ended(ledger, "run-2", REFUSED)
    ended(ledger, "run-3", PUBLISHED, partition="2021-01")
    ended(ledger, "run-4", PUBLISHED, job="other")
    assert found(ledger) == ["run-3", "run-2"]
    assert found(ledger, "2021-02") == ["run-2"]
    assert found(ledger, every=True) == ["run-3", "run-1", "run-2"]


def test_a_newer_run_without_a_rejected_row_leaves_its_partition_out(ledger):
    ended(ledger, "run-1", REFUSED)
    ended(ledger, "run-2", PUBLISHED, rows=0)
    assert found(ledger) == []
    assert found(ledger, every=True) == ["run-1"]


def test_the_newest_run_comes_last_whatever_its_id(ledger):
    ended(ledger, "run-9", REFUSED)
    ended(ledger, "run-1", PUBLISHED)
    assert found(ledger, every=True) == ["run-9", "run-1"]


def test_a_file_is_found_in_a_home_that_was_moved(part, home, ledger):
    ended(ledger, HANDLE.run_id, REFUSED)
    made = quarantine.publish(home, HANDLE, [part(rejected({"x": [1]}))])
    (one,) = quarantine.listed(home, ledger, "trips")
    assert one.path == made["path"]


def test_without_runs_there_is_nothing(ledger):
    assert quarantine.listed(HOME, ledger, "trips") == []


# --- showing --------------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(part, home):
    """Three rejected rows: for x, for y, for both."""
    frame = pl.concat(
        [
            rejected({"x": [1]}, 0, reasons=["x:null"]),
            rejected({"x": [2]}, 1, reasons=["y:null"]),
            rejected({"x": [3]}, 2, reasons=["x:null", "y:null"]),
        ]
    )
    made = quarantine.publish(home, HANDLE, [part(frame)])
    reasons = {"x:null": 2, "y:null": 2}
    return quarantine.Quarantined("trips", "2021-02", "run-1", PUBLISHED, 3, reasons, made["path"], made["sha256"])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [1, 2, 3]),
        ({"limit": 2}, [1, 2]),
        ({"limit": 0}, []),
        ({"limit": 99}, [1, 2, 3]),
        ({"reason": "x:null"}, [1, 3]),
        ({"reason": "y:null", "limit": 1}, [2]),
        ({"reason": "x"}, []),
    ],
)
def test_rows_are_shown_by_reason_and_number(kept, asked, expected):
    shown = quarantine.rows(kept, **asked)
    assert shown["x"].to_list() == expected
    assert shown.columns == ["x", REASONS, FILE, ROW]


def test_a_file_that_was_removed_is_said_to_be_gone_and_how_to_make_it_anew(kept):
    Path(kept.path).unlink()
    with pytest.raises(InputMissing, match="not there any more") as caught:
        quarantine.rows(kept)
    assert "--force" in caught.value.hint


def _parquet(frame):
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


@pytest.mark.parametrize("harm", ["shorter", "empty", "other", "another", "flipped value", "flipped footer"])
@pytest.mark.parametrize("asked", [{}, {"limit": 1}, {"reason": "x:null"}])
def test_a_damaged_file_is_said_to_be_damaged(kept, harm, asked):
    path = Path(kept.path)
    content = path.read_bytes()
    harmed = {
        "shorter": content[:-20],
        "empty": b"",
        "other": b"a,b\n1,2\n",
        "another": _parquet(pl.DataFrame({"x": [1]})),
        "flipped value": content.replace(b"x:null", b"x:nill", 1),
        "flipped footer": content[:-30] + bytes(byte ^ 0xFF for byte in content[-30:-8]) + content[-8:],
    }
    assert harmed[harm] != content
    path.write_bytes(harmed[harm])
    with pytest.raises(FilesDamaged, match="not as run run-1 wrote it") as caught:
        quarantine.rows(kept, **asked)
    assert "--force" in caught.value.hint


@pytest.mark.parametrize("values", [[timedelta(minutes=1)], [b"raw"], [[1, 2]]], ids=["duration", "bytes", "list"])
def test_a_column_that_no_csv_can_hold_is_named(tmp_path, values):
    frame = rejected({"took": values})
    with pytest.raises(UsageError, match="no CSV can hold the column 'took'"):
        quarantine.write_editable(frame, tmp_path / "fixes.csv")
    assert not (tmp_path / "fixes.csv").exists()
    quarantine.write_editable(frame, tmp_path / "fixes.parquet")
    assert (tmp_path / "fixes.parquet").exists()
