"""Replaying: rejected rows, edited and given back, are published in their places, and whatever is odd is refused."""

import json
import string

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.year import Year

import scoreline
from scoreline.assemble import assemble
from scoreline.config import load
from scoreline.corrections import Corrections
from scoreline.errors import CorrectionsInvalid, CorrectionsOutdated, InputInvalid, InputMissing
from scoreline.quarantine import listed, rows, write_editable
from scoreline.records import RAW
from scoreline.replaying import check
from scoreline.testing.builders import small_units

MONTH = "2021-02"
FILE, ROW = "scoreline.file", "scoreline.row"
ODD = {7: None, 8: -5, 9: -6}
"""Rows that the contract rejects, with what they hold instead of their own number."""


class Broken(Year):
    """A year whose February has three rows in quarantine, scored once."""

    def __init__(self, root):
        super().__init__(root)
        month = pl.read_parquet(self.input(MONTH))
        row = pl.int_range(pl.len())
        left = pl.col("left")
        for at, value in ODD.items():
            left = pl.when(row == at).then(pl.lit(value, pl.Int64)).otherwise(left)
        month.with_columns(left.alias("left")).write_parquet(self.input(MONTH), row_group_size=20)
        self.run()

    def run(self, **chosen):
        return scoreline.run(self.file, MONTH, **({"engine": "threads", "wait": False} | chosen))

    def book(self):
        return Corrections(self.home, "sums")

    def export(self, name="fixes.csv"):
        (found,) = listed(self.home, self.ledger(), "sums", MONTH)
        path = self.root / name
        path.unlink(missing_ok=True)
        write_editable(rows(found), path)
        return path

    def fixes(self, name="fixes.csv", **columns):
        """A file of corrections; one input file stands for all rows."""
        path = self.root / name
        length = len(next(iter(columns.values())))
        frame = pl.DataFrame({FILE: [str(self.input(MONTH))] * length} | columns)
        frame.write_csv(path) if name.endswith("csv") else frame.write_parquet(path)
        return path

    def replay(self, path, **chosen):
        return scoreline.replay(self.file, MONTH, path, **({"engine": "threads", "wait": False} | chosen))

    def totals(self):
        """Row number -> (left, total) as published, in the order of the file."""
        published = pl.read_parquet(self.output(MONTH))
        numbers = published["row_id"].str.extract(r"_0-(\d+)$").cast(pl.Int64)
        return dict(zip(numbers, zip(published["left"], published["total"], strict=True), strict=True))

    def expected(self, **lefts):
        """An independent computation: left + right of all rows whose left is from 1 on."""
        month = pl.read_parquet(self.input(MONTH)).to_dicts()
        for row, left in lefts.items():
            month[int(row[1:])]["left"] = left
        kept = {row: one for row, one in enumerate(month) if one["left"] is not None and one["left"] >= 1}
        return {row: (one["left"], one["left"] + one["right"]) for row, one in kept.items()}


@pytest.fixture
def year(tmp_path):
    return Broken(tmp_path / "job")


def refused(year, path, match):
    with pytest.raises(CorrectionsInvalid, match=match) as caught:
        year.replay(path)
    assert year.book().recorded(MONTH) == []
    assert year.states(MONTH) == ["published"]
    return caught.value


# --- from quarantine to publication --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fixes.csv", "fixes.parquet"])
def test_rejected_rows_that_were_edited_are_published_in_their_places(year, name):
    path = year.export(name)
    frame = pl.read_parquet(path) if name.endswith("parquet") else pl.read_csv(path)
    edited = frame.with_columns(pl.Series("left", [70, 80, -6])).head(2)
    edited.write_parquet(path) if name.endswith("parquet") else edited.write_csv(path)
    done = year.replay(path)
    assert (done.run.state, done.run.reason) == ("published", "corrected")
    assert year.totals() == year.expected(_7=70, _8=80)
    assert list(year.totals()) == sorted(year.totals())
    counts = done.run.counts
    assert (counts.rows_in, counts.scored, counts.quarantined) == (100, 98, 1)


def test_all_other_rows_are_published_as_before(year):
    before = year.totals()
    year.replay(year.fixes(**{ROW: [7], "left": [70]}))
    after = year.totals()
    assert after.pop(7) == (70, 70 + 3.5 + 2)
    assert after == before


def test_the_input_itself_is_never_written_to(year):
    before = year.input(MONTH).read_bytes()
    year.replay(year.fixes(**{ROW: [7], "left": [70]}))
    assert year.input(MONTH).read_bytes() == before


def test_the_cuts_and_the_workers_make_no_difference(year):
    path = year.fixes(**{ROW: [7, 25, 99], "left": [70, 1000, 1001]})
    year.replay(path)
    whole = year.digests()[MONTH]
    with small_units(10):
        year.run(force=True, workers=2)
    assert year.digests()[MONTH] == whole
    assert year.totals() == year.expected(_7=70, _25=1000, _99=1001)


def test_a_row_that_was_never_rejected_can_be_corrected_too(year):
    year.replay(year.fixes(**{ROW: [50], "right": [1.25]}))
    assert year.totals()[50] == (50, 51.25)


def test_a_corrected_value_that_breaks_the_contract_is_quarantined_as_corrected(year):
    done = year.replay(year.fixes(**{ROW: [7, 8], "left": [70, -1]}))
    assert done.checked.counts.reasons == {"left:below 0": 1}
    (found,) = listed(year.home, year.ledger(), "sums", MONTH)
    assert rows(found).select(ROW, "left").rows() == [(8, -1), (9, -6)]


def test_a_refused_month_is_published_once_its_rows_are_corrected(year):
    year.feed("2021-05", bad=50)
    with pytest.raises(scoreline.errors.Refused):
        scoreline.run(year.file, "2021-05", engine="threads")
    path = year.root / "may.csv"
    pl.DataFrame({FILE: str(year.input("2021-05")), ROW: range(50), "left": range(50)}).write_csv(path)
    assert scoreline.replay(year.file, "2021-05", path, engine="threads").run.state == "published"
    assert pl.read_parquet(year.output("2021-05")).height == 99


# --- corrections are a part of the input -----------------------------------------------------------------------------


@pytest.fixture
def corrected(year):
    year.replay(year.fixes(**{ROW: [7], "left": [70]}))
    return year


def test_a_second_run_finds_it_current_and_a_forced_one_keeps_the_corrections(corrected):
    before = corrected.digests()[MONTH]
    assert corrected.run().state == "current"
    assert corrected.run(force=True).state == "published"
    assert corrected.digests()[MONTH] == before


def test_a_run_with_another_model_keeps_the_corrections(corrected):
    corrected.keep(scoreline.testing.builders.RowSum())
    corrected.declare('number("left"), ', "")
    corrected.run(stale=True)
    assert corrected.totals()[7] == (70, 5.5)


def test_the_run_s_record_names_the_corrections(corrected):
    (one,) = corrected.book().in_force(MONTH)
    run = corrected.ledger().runs("sums", MONTH)[0]
    assert [file["corrections"] for file in run.facts["files"]] == [[f"{MONTH}/{one.digest}"]]


def test_recording_makes_the_partition_due_even_when_the_run_never_began(year):
    def crash(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        year.replay(year.fixes(**{ROW: [7], "left": [70]}), told=crash)
    planned = year.plan(MONTH)[MONTH]
    assert (planned.state, planned.reason, planned.due) == ("corrections changed", "corrected", True)
    assert year.backfill(MONTH).exit_code == 0
    assert year.totals() == year.expected(_7=70)


def test_the_same_file_again_records_and_publishes_nothing_new(corrected):
    path = corrected.root / "fixes.csv"
    with pytest.raises(CorrectionsInvalid, match="corrects nothing"):
        corrected.replay(path)
    assert len(corrected.book().recorded(MONTH)) == 1


def test_corrections_add_up_and_the_later_one_wins_for_the_same_value(corrected):
    corrected.replay(corrected.fixes(**{ROW: [7], "right": [0.5]}))
    assert corrected.totals()[7] == (70, 70.5)
    corrected.replay(corrected.fixes(**{ROW: [7, 8], "left": [71, 80]}))
    assert corrected.totals()[7] == (71, 71.5)
    assert corrected.totals()[8][0] == 80
    assert len(corrected.book().in_force(MONTH)) == 3


def test_training_learns_from_the_corrected_rows(corrected):
    from scoreline.assemble import assemble
    from scoreline.training_rows import survey

    assembly = assemble(load(corrected.file))
    partition = assembly.job.grid.parse(MONTH)
    ((file,),) = survey(assembly.source, [partition]).values()
    (batch,) = [
        batch for split in assembly.source.splits((file,), 1) for batch in assembly.source.read(split, ["left"])
    ]
    assert batch.frame["left"][7] == 70


def test_a_changed_input_is_refused_and_nothing_is_published(corrected):
    corrected.feed(MONTH, first=5)
    before = corrected.output(MONTH).read_bytes()
    for chosen in ({}, {"force": True}):
        with pytest.raises(CorrectionsOutdated, match="has changed since") as caught:
            corrected.run(**chosen)
        assert "scoreline quarantine withdraw" in caught.value.hint
    assert corrected.output(MONTH).read_bytes() == before
    assert corrected.plan(MONTH)[MONTH].state == "damaged input"
    assert corrected.states(MONTH)[-1] == "failed"


def test_withdrawn_corrections_make_the_partition_due_without_them(corrected):
    from scoreline.assemble import assemble
    from scoreline.replaying import withdraw

    assembly = assemble(load(corrected.file))
    (taken,) = withdraw(assembly, assembly.job.grid.parse(MONTH))
    planned = corrected.plan(MONTH)[MONTH]
    assert (planned.state, planned.reason) == ("corrections changed", "corrections withdrawn")
    corrected.run()
    assert corrected.totals() == corrected.expected()
    with pytest.raises(CorrectionsInvalid, match="none are in force"):
        withdraw(assembly, assembly.job.grid.parse(MONTH))
    with pytest.raises(CorrectionsInvalid, match="none are called abc"):
        withdraw(assembly, assembly.job.grid.parse(MONTH), "abc")
    assert taken.by


def test_explain_tells_the_old_value_the_new_one_and_whose_word_it_is(corrected):
    found = scoreline.explain(corrected.file, f"{MONTH}_0-7")
    (one,) = corrected.book().in_force(MONTH)
    assert found.input.values == {"left": 70, "right": 5.5}
    assert found.input.corrected == (
        {"column": "left", "was": None, "now": 70, "by": one.by, "at": one.at, "corrections": one.id},
    )
    assert found.recheck.equal is True


def test_explain_says_nothing_of_corrections_for_other_rows_and_keeps_to_those_of_the_run(corrected):
    assert scoreline.explain(corrected.file, f"{MONTH}_0-50").input.corrected == ()
    book = corrected.book()
    book.withdraw(MONTH, book.in_force(MONTH), by="bo", at=load_now())
    found = scoreline.explain(corrected.file, f"{MONTH}_0-7")
    assert found.input.corrected[0]["now"] == 70
    assert found.recheck.equal is True


def load_now():
    from datetime import UTC, datetime

    return datetime.now(UTC)


# --- dry run ----------------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_what_would_become_of_the_rows_and_changes_nothing(year):
    before = sorted(year.root.rglob("*"))
    path = year.fixes(**{ROW: [7, 8, 9, 50], "left": [70, -1, 0, 50]})
    found = year.replay(path, dry_run=True)
    assert (found.run, found.correction) == (None, None)
    told = found.to_dict()
    assert json.loads(json.dumps(told)) == told
    assert told == {
        "corrected": 3,
        "unchanged": 1,
        "pass": 1,
        "filtered": {"left": 1},
        "rejected": 1,
        "reasons": {"left:below 0": 1},
        "recorded": None,
        "run": None,
    }
    assert sorted(year.root.rglob("*")) == sorted([*before, path])


# --- files that are refused -------------------------------------------------------------------------------------------


def test_a_fraction_is_no_whole_number(year):
    error = refused(year, year.fixes(**{ROW: [7, 8], "left": ["70", "1.5"]}), "row 8 of .*: left '1.5' is no Int64")
    assert error.hint


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({ROW: [7, 100], "left": [1, 2]}, r"record 2: there is no row 100: .* has 100 rows, counted from 0"),
        ({ROW: [-1], "left": [1]}, "record 1: there is no row -1"),
        ({ROW: [7, 8, 7], "left": [1, 2, 3]}, "record 3: row 7 of .* is there twice"),
        ({ROW: ["7", "x"], "left": [1, 2]}, "record 2: scoreline.row is 'x'"),
        ({ROW: [7, None], "left": [1, 2]}, "record 2: scoreline.row is None"),
        ({ROW: [7.5], "left": [1]}, "record 1: scoreline.row is"),
        ({FILE: ["elsewhere.parquet"], ROW: [7], "left": [1]}, r"record 1: elsewhere.parquet is no input file of it"),
        ({ROW: [7], "lfet": [1]}, "the job does not read 'lfet'"),
        ({ROW: [7], "scoreline.other": [1]}, "the job does not read 'scoreline.other'"),
        ({ROW: [7]}, "gives no values"),
        ({"left": [7]}, "has no column scoreline.row"),
        ({ROW: [50], "left": [50]}, "corrects nothing"),
    ],
)
@pytest.mark.parametrize("name", ["fixes.csv", "fixes.parquet"])
def test_rows_and_columns_that_are_not_there_are_named(year, name, columns, match):
    refused(year, year.fixes(name, **columns), match)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("fixes.csv", b"", "has no column scoreline.row"),
        ("fixes.csv", b"\xff\xfe\x00", "cannot be read as text"),
        ("fixes.csv", b"scoreline.row,scoreline.file,left\n7,a\n", "record 1 has 2 cells where the header has 3"),
        ("fixes.csv", b"scoreline.row,scoreline.file,left\n7,a,1,2\n", "record 1 has 4 cells"),
        ("fixes.csv", b"scoreline.row,scoreline.file,left,left\n", "several columns named left"),
        ("fixes.csv", b"scoreline.row,scoreline.file,left\n", "corrects nothing"),
        ("fixes.parquet", b"", "cannot be read as Parquet"),
        ("fixes.parquet", b"PAR1" * 9, "cannot be read as Parquet"),
        ("fixes.xlsx", b"", "neither .csv nor .parquet"),
    ],
)
def test_a_file_that_is_none_is_refused(year, name, content, match):
    path = year.root / name
    path.write_bytes(content)
    refused(year, path, match)


def test_a_file_that_is_not_there_is_named(year):
    refused(year, year.root / "none.csv", "No such file")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_csv_that_a_spreadsheet_has_saved_is_read(year, separator):
    path = year.root / "fixes.csv"
    lines = [[FILE, ROW, "left"], [str(year.input(MONTH)), "7", "70"]]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(separator.join(line) for line in lines).encode())
    year.replay(path)
    assert year.totals()[7][0] == 70


def test_without_input_nothing_is_recorded(year):
    path = year.fixes(**{ROW: [7], "left": [70]})
    year.input(MONTH).unlink()
    with pytest.raises(InputMissing):
        year.replay(path)
    assert year.book().recorded(MONTH) == []


cells = st.one_of(
    st.integers(-200, 200).map(str), st.text(string.printable, max_size=6), st.sampled_from(["", "NaN", "{file}"])
)
headers = st.lists(st.sampled_from([FILE, ROW, "left", "right", "scoreline.reasons", "other", ""]), max_size=6)


def tried(year, path):
    """What a dry run tells, or the error that it ends with."""
    try:
        return year.replay(path, dry_run=True)
    except (CorrectionsInvalid, InputInvalid) as error:
        return error


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return Broken(tmp_path_factory.mktemp("shared") / "job")


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_rubbish_is_ever_recorded_or_ends_in_another_error(shared, data):
    path = shared.root / "rubbish.csv"
    if data.draw(st.booleans()):
        path.write_bytes(data.draw(st.binary(max_size=200)))
    else:
        header = data.draw(headers)
        lines = [header, *data.draw(st.lists(st.lists(cells, max_size=6), max_size=5))]
        text = "\n".join(",".join(line) for line in lines)
        path.write_text(text.replace("{file}", str(shared.input(MONTH))), "utf-8")
    found = tried(shared, path)
    assert getattr(found, "hint", "none is needed")
    assert not (shared.home / "corrections").exists()


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.one_of(st.integers(-2, 101).map(str), cells), cells, cells), max_size=4))
def test_edited_cells_are_taken_as_they_are_or_refused(shared, lines):
    path = shared.root / "cells.csv"
    frame = pl.DataFrame(lines, schema=[ROW, "left", "right"], orient="row") if lines else pl.DataFrame({ROW: ["x"]})
    frame.with_columns(pl.lit(str(shared.input(MONTH))).alias(FILE)).write_csv(path)
    found = tried(shared, path)
    if isinstance(found, CorrectionsInvalid):
        assert found.hint
        return
    assert set(found.checked.rows[ROW]) <= set(range(100))
    assert found.checked.counts.rows_in == found.checked.rows.height


# --- records that nobody could read ----------------------------------------------------------------------------------

TORN_JOB = """
import polars as pl
import scoreline as sl

job = sl.Job(
    name="torn", partition="named", source=sl.Files("{slug}.csv", under="data"),
    contract=[sl.Field("size", pl.Float64, nullable=True), sl.Field("zone", pl.String, nullable=True)],
    features=[sl.number("size"), sl.category("zone")], model="models/none",
    output=[sl.row_id("id"), sl.prediction("p"), sl.model_version("v")], sinks=sl.Files("{slug}.csv", under="out"),
)
"""


@pytest.fixture
def torn(tmp_path):
    """Checks corrections of a file whose record 1 has too few fields; missing values are allowed."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("size,zone\n1.5,north\n2\nx,south\n")
    (tmp_path / "job.py").write_text(TORN_JOB)
    assembly = assemble(load(tmp_path / "job.py"))

    def check_rows(**columns):
        path = tmp_path / "fixes.csv"
        length = len(columns[ROW])
        pl.DataFrame({FILE: [str(tmp_path / "data" / "a.csv")] * length} | columns).write_csv(path)
        return check(assembly, assembly.job.grid.parse("a"), path)

    return check_rows


def test_a_record_that_nobody_could_read_and_nobody_edited_stays_rejected(torn):
    found = torn(**{ROW: [1, 2], RAW: ["2", None], "size": [None, "3"], "zone": [None, "south"]})
    assert (found.rows[ROW].to_list(), found.unchanged, found.counts.scored) == ([2], 1, 1)


def test_a_record_that_nobody_could_read_is_mended_by_its_values(torn):
    found = torn(**{ROW: [1], RAW: ["2"], "size": ["2"], "zone": [None]})
    assert (found.rows[ROW].to_list(), found.counts.scored) == ([1], 1)


def test_the_text_of_a_record_edited_in_place_of_its_values_is_refused(torn):
    with pytest.raises(CorrectionsInvalid, match=r"scoreline\.raw of row 1 was edited"):
        torn(**{ROW: [1], RAW: ["2,north"], "size": [None], "zone": [None]})
