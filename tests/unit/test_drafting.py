# ruff: noqa: DTZ001 - times of files are naive
"""What a model wants is matched with the columns of a sample; the contract says no more than the sample shows."""

from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from scoreline.drafting import Answers, draft
from scoreline.errors import UsageError
from scoreline.files import Csv
from scoreline.job import Job
from scoreline.linting import lint
from scoreline.matching import Missing
from scoreline.sketch import Sample, Sketch, Wanted

TRIPS = pl.DataFrame(
    {
        "trip": ["a", "b", "c", "d"],
        "PU": [43, 151, 43, 7],
        "DO": [151, 43, 7, 43],
        "miles": [1.5, 0.25, 3.0, 2.0],
        "shift": [-1.0, 2.0, 0.5, 1.0],
        "rush": [True, False, True, True],
        "at": [datetime(2021, 2, 1)] * 4,
    }
)
PLACE = Path("/srv/job")


def drafted(wants, frame=TRIPS, name="trips.parquet", *, answers=None, csv=None, labels="Float64", model="m.bin"):
    sketch = Sketch("Model", tuple(wants), labels=labels)
    return draft(Sample(Path("/srv/data") / name, frame, csv), sketch, answers or Answers("trips"), PLACE, model)


def job_of(made):
    names = {}
    exec(made.text, names)  # noqa: S102 - a draft is a Python file
    job = names["job"]
    assert isinstance(job, Job)
    assert lint(job) == []
    return job


def features_of(made):
    return [feature.declaration() for feature in job_of(made).features]


def test_a_number_and_a_category_of_the_model_are_columns_of_their_names():
    made = drafted([Wanted("miles"), Wanted("PU", ("43", "7"), is_category=True), Wanted("trip")])
    assert [(one["name"], one["kind"]) for one in features_of(made)] == [
        ("miles", "number"),
        ("PU", "category"),
        ("trip", "category"),
    ]
    assert not made.missing


def test_a_number_of_the_model_is_no_text_column():
    assert drafted([Wanted("miles"), Wanted("trip", is_category=False)]).missing == (Missing("trip"),)


def test_a_column_in_other_letters_is_the_one_that_is_meant():
    (feature,) = features_of(drafted([Wanted("Miles")]))
    assert (feature["name"], feature["columns"]) == ("Miles", ["miles"])


def test_two_columns_whose_joined_values_the_model_has_learned_are_crossed():
    made = drafted([Wanted("PU_DO", ("43_151", "151_43", "9_9"), is_category=True), Wanted("miles")])
    (cross, _) = features_of(made)
    assert (cross["kind"], cross["columns"], cross["sep"]) == ("cross", ["PU", "DO"], "_")


def test_the_separator_of_a_cross_is_recognised():
    (cross,) = features_of(drafted([Wanted("pu-do", ("151|43", "43|151", "7|43"), is_category=True)]))
    assert (cross["columns"], cross["sep"]) == (["PU", "DO"], "|")


def test_the_order_of_a_cross_is_that_of_training():
    (cross,) = features_of(drafted([Wanted("route", ("7_43", "151_7"), is_category=True)], TRIPS.tail(1)))
    assert cross["columns"] == ["PU", "DO"]


BOTH_WAYS = tuple(f"{a}_{b}" for a in (7, 43, 151) for b in (7, 43, 151))


def test_where_both_orders_of_a_cross_fit_nothing_is_guessed():
    made = drafted([Wanted("route", BOTH_WAYS, is_category=True), Wanted("miles")])
    assert made.missing == (Missing("route", ("PU,DO", "DO,PU")),)
    assert [one["name"] for one in features_of(made)] == ["miles"]


@pytest.mark.parametrize(("name", "columns"), [("PU_DO", ["PU", "DO"]), ("do-pu", ["DO", "PU"])])
def test_the_name_of_a_cross_tells_its_order(name, columns):
    (cross,) = features_of(drafted([Wanted(name, BOTH_WAYS, is_category=True)]))
    assert cross["columns"] == columns


def test_the_user_decides_what_nothing_else_does():
    answers = Answers("trips", given={"route": ["DO", "PU"], "len": ["miles"]})
    cross, number = features_of(drafted([Wanted("route", BOTH_WAYS, is_category=True), Wanted("len")], answers=answers))
    assert (cross["columns"], number["columns"]) == (["DO", "PU"], ["miles"])


def test_what_the_user_says_of_no_input_is_refused():
    with pytest.raises(UsageError, match="no input 'rout'"):
        drafted([Wanted("route", BOTH_WAYS, is_category=True)], answers=Answers("trips", given={"rout": ["DO", "PU"]}))


def test_a_column_of_another_name_with_the_learned_values_is_the_category():
    frame = TRIPS.with_columns(pl.col("DO") + 1_000)
    (feature,) = features_of(drafted([Wanted("pickup", ("43", "151", "7"), is_category=True)], frame))
    assert (feature["name"], feature["columns"]) == ("pickup", ["PU"])


def test_where_two_columns_have_the_learned_values_nothing_is_guessed():
    made = drafted([Wanted("pickup", ("43", "151", "7"), is_category=True)])
    assert made.missing == (Missing("pickup", ("PU", "DO")),)


def test_an_input_that_no_column_gives_is_named_and_not_made_up():
    made = drafted([Wanted("miles"), Wanted("weather", ("rain",), is_category=True), Wanted("fare")])
    assert [one.name for one in made.missing] == ["weather", "fare"]
    assert [one["name"] for one in features_of(made)] == ["miles"]


def test_a_model_that_does_not_tell_its_inputs_needs_their_names():
    with pytest.raises(UsageError, match="does not tell") as caught:
        drafted([])
    assert "--features" in caught.value.hint
    made = drafted([], answers=Answers("trips", ("miles", "PU")))
    assert [one["name"] for one in features_of(made)] == ["miles", "PU"]


def test_a_chosen_column_that_is_not_there_is_named():
    with pytest.raises(UsageError, match="'mile'"):
        drafted([], answers=Answers("trips", ("mile",)))
    with pytest.raises(UsageError, match="'ride'"):
        drafted([Wanted("miles")], answers=Answers("trips", row_id="ride"))


# -- the contract


def fields_of(made):
    return {one.name: one for one in job_of(made).contract}


def test_the_contract_holds_the_columns_that_are_used_and_no_other():
    made = drafted([Wanted("miles"), Wanted("PU")], answers=Answers("trips", row_id="trip"))
    assert list(fields_of(made)) == ["trip", "miles", "PU"]
    assert job_of(made).row_id == "trip"


def test_a_range_is_no_tighter_than_zero():
    fields = fields_of(drafted([Wanted("miles"), Wanted("shift")]))
    assert (fields["miles"].low, fields["miles"].high) == (0, None)
    assert (fields["shift"].low, fields["shift"].high) == (None, None)


def test_what_was_missing_may_be_missing():
    frame = TRIPS.with_columns(pl.when(pl.col("PU") == 7).then(None).otherwise(pl.col("miles")).alias("miles"))
    fields = fields_of(drafted([Wanted("miles"), Wanted("PU")], frame))
    assert fields["miles"].nullable
    assert not fields["PU"].nullable


def test_ids_that_came_as_doubles_are_integers():
    frame = TRIPS.with_columns(pl.col("PU").cast(pl.Float64), pl.col("DO").cast(pl.Float64) + 0.5)
    wants = [Wanted(name, ("43",), is_category=True) for name in ("PU", "DO")]
    fields = fields_of(drafted(wants, frame))
    assert fields["PU"].dtype == pl.Int64
    assert fields["DO"].dtype == pl.Float64


def test_types_are_those_of_the_sample():
    fields = fields_of(drafted([Wanted("rush"), Wanted("PU"), Wanted("trip")]))
    assert [fields[name].dtype for name in ("rush", "PU", "trip")] == [pl.Boolean, pl.Int64, pl.String]


def test_decimals_are_read_as_floats():
    frame = pl.DataFrame({"fare": pl.Series(["1.50", "20"]).cast(pl.Decimal(10, 2))})
    made = drafted([Wanted("fare")], frame)
    assert (made.contract[0].dtype, made.contract[0].low) == ("pl.Float64", 0)
    (field,) = job_of(made).contract
    assert field.dtype == pl.Float64


def test_a_time_is_no_input_of_a_model():
    assert drafted([Wanted("at"), Wanted("miles")]).missing == (Missing("at"),)


@pytest.mark.parametrize("labels", ["Float64", "Int64", "String", "Boolean"])
def test_predictions_have_the_type_of_the_model_s_labels(labels):
    column = next(one for one in job_of(drafted([Wanted("miles")], labels=labels)).output if one.name == "prediction")
    assert str(column.dtype) == labels


# -- partitions


@pytest.mark.parametrize(
    ("name", "grid", "path", "slug"),
    [
        ("trips_2024-06.parquet", "month", "trips_{yyyy}-{mm}.parquet", "2024-06"),
        ("2024-06-15.csv.gz", "day", "{yyyy}-{mm}-{dd}.csv.gz", "2024-06-15"),
        ("orders.jsonl", "named", "{slug}.jsonl", "orders"),
        ("v2024-13.csv", "named", "{slug}.csv", "v2024-13"),
        ("2024-06_2024-07.parquet", "named", "{slug}.parquet", "2024-06_2024-07"),
        ("call_555-2024-1234.csv", "named", "{slug}.csv", "call_555-2024-1234"),
    ],
)
def test_a_date_in_the_name_tells_the_partitions(name, grid, path, slug):
    made = drafted([Wanted("miles")], name=name)
    job = job_of(made)
    assert (job.partition, job.source.path, made.partition) == (grid, path, slug)
    assert job.source.template.render(job.grid.parse(slug), {}) == name


def test_a_name_that_cannot_stand_for_a_partition_says_so():
    with pytest.raises(UsageError, match="cannot name a partition") as caught:
        drafted([Wanted("miles")], name="my trips.csv")
    assert "rename" in caught.value.hint


def test_data_inside_of_the_folder_is_named_relative_to_it():
    sample = Sample(PLACE / "data" / "one.csv", TRIPS)
    made = draft(sample, Sketch("Model", (Wanted("miles"),)), Answers("trips"), PLACE, "m.bin")
    assert job_of(made).source.under == "data"


def test_a_csv_file_s_own_ways_are_declared():
    csv = Csv(separator=";", header=False, columns=["a", "b"], encoding="cp1252")
    assert job_of(drafted([Wanted("miles")], name="t.csv", csv=csv)).source.csv == csv
    assert "sl.Csv" not in drafted([Wanted("miles")], name="t.csv", csv=Csv()).text


@pytest.mark.parametrize("odd", ['say "when"', "it's", "back\\slash", "two\nlines", '"""', "{brace}", "ümläut"])
def test_odd_names_of_columns_are_written_as_they_are(odd):
    frame = pl.DataFrame({odd: ["x", odd], "on": [date(2024, 1, 1)] * 2})
    made = drafted([Wanted(odd)], frame)
    assert list(fields_of(made)) == [odd]


def test_odd_names_of_files_and_models_do_no_harm():
    made = drafted([Wanted("miles")], model='models/"""x.bin')
    assert job_of(made).model == 'models/"""x.bin'


# -- dirt in the sample


def test_numbers_with_a_few_odd_ones_are_numbers_and_the_odd_ones_break_the_contract():
    texts = [f"{n}.5" for n in range(98)] + ["12 kg", "12,5"]
    made = drafted([Wanted("miles")], pl.DataFrame({"miles": texts}))
    assert fields_of(made)["miles"].dtype == pl.Float64
    assert not fields_of(made)["miles"].nullable
    assert [one["kind"] for one in features_of(made)] == ["number"]


def test_whole_numbers_with_an_odd_one_are_whole():
    made = drafted([Wanted("miles")], pl.DataFrame({"miles": [*map(str, range(40)), "x"]}))
    assert fields_of(made)["miles"].dtype == pl.Int64


@pytest.mark.parametrize(
    ("wanted", "values"),
    [
        (Wanted("code", ("12", "A1"), is_category=True), [*map(str, range(40)), "A1"]),
        (Wanted("code"), [*(f"0{n}" for n in range(40)), "A1"]),
        (Wanted("code"), [*map(str, range(10)), *"ABCDEFGHIJ"]),
    ],
)
def test_codes_stay_text(wanted, values):
    assert fields_of(drafted([wanted], pl.DataFrame({"code": values})))["code"].dtype == pl.String


@pytest.mark.parametrize("missing", [[], [None]])
def test_numbers_with_decimal_commas_are_read_as_what_they_are(missing):
    texts = pl.Series("miles", [*(f"{n},5" for n in range(40)), "7", "1.234,5", *missing])
    made = drafted([Wanted("miles")], texts.to_frame())
    job = job_of(made)
    (feature,) = job.features
    (rule,) = [part for part in job.contract if part.name == "miles is a number"]
    read = texts.to_frame().select(feature.expr.alias("miles"), rule.holds.alias("good"))
    assert read["miles"].to_list() == [*(n + 0.5 for n in range(40)), 7.0, None, *missing]
    assert read["good"].to_list() == [True] * 41 + [False] + [True] * len(missing)


def test_commas_between_thousands_are_no_decimal_ones():
    made = drafted([Wanted("miles", is_category=False)], pl.DataFrame({"miles": ["1,500", "12,000", "7"]}))
    assert made.missing == (Missing("miles"),)


def test_a_name_may_be_written_with_other_signs_between_its_words():
    frame = pl.DataFrame({"Trip distance": [1.5, 2.0]})
    (feature,) = features_of(drafted([Wanted("trip_distance")], frame))
    assert feature["columns"] == ["Trip distance"]
    twice = drafted([Wanted("trip_distance")], frame.with_columns(pl.lit(1.0).alias("trip-distance")))
    assert twice.missing == (Missing("trip_distance"),)


def test_ids_that_came_as_doubles_are_recognised_in_a_cross():
    frame = TRIPS.with_columns(pl.col("PU").cast(pl.Float64), pl.Series("DO", [151.0, None, 7.0, 43.0]))
    made = drafted([Wanted("route", ("43_151", "43_7", "7_43"), is_category=True)], frame)
    (feature,) = features_of(made)
    assert feature["columns"] == ["PU", "DO"]
    assert [fields_of(made)[name].dtype for name in ("PU", "DO")] == [pl.Int64, pl.Int64]
