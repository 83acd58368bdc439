import json
import pickle
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.samples import Doubling, constants, job, split

from scoreline import (
    Filter,
    between,
    category,
    computed,
    cross,
    expression,
    model_version,
    number,
    partition_slug,
    passthrough,
    prediction,
    ratio,
    row_id,
    run_id,
    scored_at,
)
from scoreline.abc import Batch, Predictions
from scoreline.errors import (
    ConservationBroken,
    InputInvalid,
    LossyCast,
    ModelFailed,
    ModelInvalid,
    RowsUnscorable,
)
from scoreline.partition import Grid
from scoreline.report import Counts
from scoreline.score import ScoreSplit, score_rows
from scoreline.sinks.parquet import ParquetSink
from scoreline.slot import Slot
from scoreline.sources.parquet import ParquetSource
from scoreline.splits import Split
from scoreline.template import Template


def scored(declared, frame, first_row=0, model=Doubling()):  # noqa: B008 - frozen
    return score_rows(declared, model, frame, constants(), split(frame.height, "in/a.parquet"), first_row)


# --- rows -----------------------------------------------------------------------------------------------------------

NAN = float("nan")
SHORT, LONG = Filter("short", pl.col("x") >= 10), Filter("long", pl.col("x") <= 60)
IDS = [row_id("id"), passthrough("x", pl.Int64), prediction("p")]


@given(st.lists(st.integers(-100, 100)), st.integers(0, 10**9))
@example([], 0)
@example([5, 10, 60, 61], 7)
def test_every_row_is_scored_or_filtered_once_and_kept_in_order(values, first_row):
    frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.Int64)})
    made, counts = scored(job(filters=[SHORT, LONG], output=IDS), frame, first_row)
    kept = [(place, value) for place, value in enumerate(values) if 10 <= value <= 60]
    assert made.rows() == [(f"2021-02_0-{first_row + place}", value, value * 2.0) for place, value in kept]
    filtered = {"short": sum(value < 10 for value in values), "long": sum(value > 60 for value in values)}
    assert counts == Counts(len(values), len(kept), filtered)
    counts.require_conserved(len(values), "here")


def test_a_row_counts_for_the_first_rule_that_leaves_it_out():
    frame = pl.DataFrame({"x": [0, 0, 100]})
    never = Filter("never", pl.col("x") < 0)
    assert scored(job(filters=[SHORT, never]), frame)[1].filtered == {"short": 2, "never": 1}
    assert scored(job(filters=[never, SHORT]), frame)[1].filtered == {"never": 3, "short": 0}


def test_a_rule_sees_only_rows_that_earlier_rules_kept():
    # The second rule would be null for the row that the first one leaves out.
    frame = pl.DataFrame({"x": [1, 20], "y": [None, 1]})
    made, _ = scored(job(filters=[SHORT, Filter("y", pl.col("y") > 0)]), frame)
    assert made.height == 1


@pytest.mark.parametrize(
    ("rule", "column"),
    [
        (Filter("rule", pl.col("x") > 0), [1.0, None, 2.0]),
        (Filter("rule", pl.col("x") > 0), [1.0, float("nan"), 2.0]),  # to Polars, NaN is larger than 0
        (Filter("rule", ~(pl.col("x") > 9)), [1.0, float("nan"), 2.0]),
        (between("x", 0, 9, name="rule"), [1.0, float("nan"), 2.0]),
        (between("x", 0, float("inf"), name="rule"), [1.0, float("nan"), 2.0]),
    ],
)
def test_a_row_that_a_rule_cannot_judge_is_refused_by_name_and_number(rule, column):
    with pytest.raises(RowsUnscorable, match=r"row 101 of in/a\.parquet") as caught:
        scored(job(filters=[rule]), pl.DataFrame({"x": column}), first_row=100)
    assert (caught.value.reason, caught.value.rows, caught.value.first) == ("filter:rule:null", 1, 101)


def test_a_rule_that_asks_for_nan_decides_about_it():
    made, counts = scored(job(filters=[Filter("rule", pl.col("x").is_not_nan())]), pl.DataFrame({"x": [1.0, NAN]}))
    assert (made["p"].to_list(), counts.filtered) == ([2.0], {"rule": 1})


@pytest.mark.parametrize(
    "keep",
    [
        pl.col("x"),  # a number is no verdict
        pl.col("x").max() > 0,
        pl.lit(value=True),
        (pl.col("x") > 0).head(1),
        pl.col("missing") > 0,
        pl.col("x").str.contains("a"),
    ],
)
def test_a_rule_that_gives_no_verdict_for_each_row_is_refused(keep):
    with pytest.raises(InputInvalid, match="filter 'rule'"):
        scored(job(filters=[Filter("rule", keep)]), pl.DataFrame({"x": [1, 2]}))


def test_filters_and_features_may_use_derived_values_and_those_the_ones_before_them():
    derive = [expression("y", pl.col("x") + 1), expression("z", pl.col("y") * 10)]
    declared = job(derive=derive, filters=[between("z", 20, 30)], features=[number("x"), ratio("w", "z", "y")])
    made, counts = scored(declared, pl.DataFrame({"x": [0, 1, 2, 3]}))
    assert (made["p"].to_list(), counts.filtered) == ([2.0, 4.0], {"z": 2})


def test_a_feature_that_reads_what_is_made_later_is_refused():
    declared = job(derive=[number("z", "y"), number("y", "x")])
    with pytest.raises(InputInvalid, match="'z' reads 'y', which is neither input nor made before it"):
        scored(declared, pl.DataFrame({"x": [1]}))


@pytest.mark.parametrize(
    "expr", [pl.col("x").head(2), pl.col("x").filter(pl.col("x") > 1), pl.col("x").str.len_chars()]
)
@pytest.mark.parametrize("part", ["derive", "features"])
def test_a_feature_that_does_not_fit_the_rows_is_refused_by_name(expr, part):
    declared = job(**{"features": [number("x")], part: [expression("bad", expr)]})
    with pytest.raises(InputInvalid, match="feature 'bad'"):
        scored(declared, pl.DataFrame({"x": [1, 2, 3]}))


@pytest.mark.parametrize("value", [1.5, float("nan"), float("inf"), 1e19])
def test_a_category_that_would_have_to_be_guessed_is_refused_by_name_and_number(value):
    declared = job(features=[number("x"), cross("r", "a", "x")])
    frame = pl.DataFrame({"x": [1, 2], "a": [3.0, value]})
    with pytest.raises(RowsUnscorable, match=r"row 1 of in/a\.parquet") as caught:
        scored(declared, frame)
    assert caught.value.reason == "feature:r:a is not a whole number"


def test_a_feature_may_be_called_as_its_column_and_outputs_keep_the_column():
    seen = []

    @dataclass(frozen=True)
    class Watching(Doubling):
        inputs: tuple = ("x", "zone")

        def predict(self, features):
            seen.append(features["zone"].to_list())
            return super().predict(features)

    declared = job(features=[number("x"), category("zone")], output=[prediction("p"), passthrough("zone", pl.Int64)])
    made, _ = scored(declared, pl.DataFrame({"x": [1], "zone": [43.0]}), model=Watching())
    assert (seen, made["zone"].to_list()) == ([["43"]], [43])


def test_unseen_categories_are_reported():
    assert scored(job(), pl.DataFrame({"x": [1]}), model=Doubling({"r": 1}))[1].unseen == {"r": 1}


def test_when_no_row_is_left_the_model_is_not_asked_and_the_types_stay():
    made, counts = scored(job(filters=[SHORT], output=IDS), pl.DataFrame({"x": [1, 2]}), model=None)
    assert made.schema == {"id": pl.String, "x": pl.Int64, "p": pl.Float64}
    assert counts == Counts(2, 0, {"short": 2})


def test_what_is_the_same_for_all_rows_comes_from_the_run():
    output = [partition_slug("s"), run_id("r"), model_version("v"), scored_at("t"), prediction("p")]
    made, _ = scored(job(output=output), pl.DataFrame({"x": [1, 2]}))
    assert made.rows() == [("2021-02", "r1", "v1", datetime(2021, 3, 1, tzinfo=UTC), p) for p in (2.0, 4.0)]


# --- row ids --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["a", "b"], ["a", "b"]),
        ([7, 2**63 - 1], ["7", "9223372036854775807"]),
        ([7.0, 1e15], ["7", "1000000000000000"]),  # integers that a missing value elsewhere has made floats
    ],
)
def test_a_declared_id_is_the_row_s_id(ids, expected):
    made, _ = scored(job(row_id="key", output=IDS), pl.DataFrame({"x": [1, 2], "key": ids}))
    assert made["id"].to_list() == expected


@pytest.mark.parametrize(("ids", "first"), [(["a", None], 11), ([1, None], 11), ([1.5, 2.0], 10), ([1.0, None], 11)])
def test_a_row_without_a_whole_id_is_refused(ids, first):
    with pytest.raises(RowsUnscorable) as caught:
        scored(job(row_id="key", output=IDS), pl.DataFrame({"x": [1, 2], "key": ids}), first_row=10)
    assert "key" in caught.value.reason
    assert caught.value.first == first


def test_an_id_that_no_output_shows_is_not_asked_for():
    frame = pl.DataFrame({"x": [1], "key": pl.Series([None], dtype=pl.String)})
    assert scored(job(row_id="key"), frame)[0].height == 1


def test_the_file_s_place_among_the_files_stands_in_the_id():
    second = replace(split(), ordinal=1)
    made, _ = score_rows(job(output=IDS), Doubling(), pl.DataFrame({"x": [1]}), constants(), second, 5)
    assert made["id"].to_list() == ["2021-02_1-5"]


# --- errors name the row --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refusing(Doubling):
    """Raises as a linear model does when a number is missing."""

    def predict(self, features):
        raise ModelFailed("the model raised ValueError") from ValueError("NaN")


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_model_that_fails_is_blamed_on_the_row_that_it_cannot_take(value):
    frame = pl.DataFrame({"x": [1.0, 2.0, value], "n": [0, 1, 2]})
    with pytest.raises(ModelFailed, match=r"the first is row 102 of in/a\.parquet") as caught:
        scored(job(filters=[between("n", 1, 2)]), frame, first_row=100, model=Refusing())
    assert (caught.value.rows, caught.value.first) == (1, 102)


@dataclass(frozen=True)
class Vague(Doubling):
    """Predicts nothing finite for one row, without an error."""

    says: float | None = None

    def predict(self, features):
        return Predictions(pl.Series([1.0, self.says], dtype=pl.Float64))


@pytest.mark.parametrize("says", [None, float("nan"), float("inf")])
def test_a_prediction_that_is_no_number_is_refused_by_row(says):
    with pytest.raises(ModelFailed, match=r"nothing finite for 1 rows, the first is row 8 of in/a\.parquet"):
        scored(job(), pl.DataFrame({"x": [1.0, 2.0]}), first_row=7, model=Vague(says=says))


def test_a_model_that_fails_on_good_numbers_speaks_for_itself():
    with pytest.raises(ModelFailed, match=r"ValueError$"):
        scored(job(), pl.DataFrame({"x": [1.0]}), model=Refusing())


def test_a_value_that_does_not_fit_its_column_names_the_row_of_the_input():
    declared = job(filters=[SHORT], output=[prediction("p"), passthrough("y", pl.Int64)])
    with pytest.raises(LossyCast, match="in row 52 of") as caught:
        scored(declared, pl.DataFrame({"x": [0, 20, 20], "y": [0.5, 1.0, 1.5]}), first_row=50)
    assert caught.value.first == 52


def test_a_column_of_another_kind_is_refused_without_a_row():
    with pytest.raises(LossyCast, match="without a conversion"):
        scored(job(output=[prediction("p"), passthrough("t", pl.Int64)]), pl.DataFrame({"x": [1], "t": ["1"]}))


def test_an_output_that_looks_at_its_prediction_alone_can_be_computed():
    declared = job(output=[prediction("p"), computed("err", pl.col("x") - pl.col("p"))])
    assert scored(declared, pl.DataFrame({"x": [3.0]}))[0].rows() == [(6.0, -3.0)]


# --- splits ---------------------------------------------------------------------------------------------------------


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
    sink = ParquetSink(tmp_path / "out", template)
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


@pytest.mark.parametrize("harm", ["flipped", "shorter", "gone"])
def test_a_split_whose_part_was_harmed_is_scored_again(place, harm):
    task, only = place
    path = Path(task(only).receipts[0].path)
    content = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if harm == "flipped" else content[:-1])
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
