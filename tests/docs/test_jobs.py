"""The page of jobs is what the docstrings say, its example runs, and its table knows every reason."""

import inspect
import re
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from tests.docs.make_jobs import (
    COMMAND,
    EXAMPLE,
    FILLED,
    FUNCTIONS,
    GROUPS,
    PAGE,
    REASONS,
    RECORD_REASONS,
    arguments,
    page,
    sections,
)
from tests.unit.samples import Doubling, job, rejections, scored

import scoreline
from scoreline import Field, Filter, Rule, category, number, passthrough, prediction, records, row_id
from scoreline.abc import Predictions
from scoreline.config import load
from scoreline.errors import ModelFailed
from scoreline.linting import lint

NAN, INF = float("nan"), float("inf")
SOURCE = Path(scoreline.__file__).parent
STANDS_FOR = {"TYPE": "[A-Z].*", "BOUND": ".+"}
FORMS = {
    form: re.compile(re.sub("[A-Z]{4,}", lambda word: STANDS_FOR.get(word[0], "[^:]+"), form)) for form, _, _ in REASONS
}


def test_the_page_of_jobs_is_what_the_docstrings_say():
    assert PAGE.read_text("utf-8") == page(), f"out of date; renew it: {COMMAND}"


def test_the_page_has_all_names_and_all_arguments_of_a_job():
    names = [name for _, made_of in GROUPS.values() for name in made_of]
    assert sorted([*names, *FUNCTIONS, "Job"]) == sorted(scoreline.__all__)
    told = [name for mine, _ in GROUPS.values() for name in mine]
    assert sorted(told) == sorted(set(inspect.signature(scoreline.Job).parameters) - FILLED)


@pytest.mark.parametrize("name", scoreline.__all__)
def test_a_docstring_says_what_a_name_and_its_arguments_are_for(name):
    value = getattr(scoreline, name)
    assert sections(value)[0]
    wanted = set(inspect.signature(value).parameters) - FILLED if name != "Identity" else set()
    assert wanted == {"name"} or wanted == set(arguments(value))  # a column's name needs no words


# --- the example ------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    """The example's job, with months of parcels: of 100 rows 2 break the contract, and 3 only warn."""
    for number_of_month in (1, 2):
        path = tmp_path / "data" / f"north-2024-{number_of_month:02}.parquet"
        path.parent.mkdir(exist_ok=True)
        parcels(number_of_month).write_parquet(path)
    copy = tmp_path / "job.py"
    copy.write_text(EXAMPLE.read_text("utf-8"), "utf-8")
    return copy


def parcels(month):
    start = datetime(2024, month, 1)  # noqa: DTZ001 - source times are naive
    left = [start + timedelta(hours=row, days=-40 if row == 9 else 0) for row in range(100)]
    return pl.DataFrame(
        {
            "depot": [41 if row == 7 else 1 + row % 40 for row in range(100)],
            "size": ["small" if row % 2 else "large" for row in range(100)],
            "km": [row % 13 / 2 for row in range(100)],
            "tip": [{3: 80.0, 4: 90.0, 5: None}.get(row, 1.0) for row in range(100)],
            "left": left,
            "arrived": [at + timedelta(minutes=-5 if row == 8 else 10 + row % 30) for row, at in enumerate(left)],
        }
    )


def test_nothing_is_wrong_with_the_example(file):
    assert lint(load(file).job) == []


def test_the_example_trains_and_scores_with_contract_gates_and_warnings(file):
    scoreline.train(file, "2024-01")
    report = scoreline.run(file, "2024-02", home=file.parent / ".scoreline")
    assert (report.state, report.counts.scored) == ("published", 98)
    assert report.counts.reasons == {"depot:above 40": 1, "rule:arrives later": 1}
    assert report.counts.warnings == {"rule:tip is small": 2, "rule:left within partition": 1}
    assert scoreline.read(file, "2024-02")["predicted_minutes"].null_count() == 0


# --- the reasons ------------------------------------------------------------------------------------------------------


class Raising(Doubling):
    """Takes no row in which a feature is null, NaN, infinite or large, or a text that is not "a"."""

    def predict(self, features):
        x, t = features["x"], features["t"]
        unseen = (t.is_not_null() & (t != "a")).arg_true().to_list()
        odd = x.is_null() | ~x.is_finite() | (x.abs() > 1e39)
        if odd.any() or unseen:
            raise ModelFailed("the model raised ValueError", unseen={"t": unseen} if unseen else {})
        return Predictions((features["x"] * 2).replace(8.0, NAN))


class Unlucky(Doubling):
    """Takes neither 13 nor 17, and has a cause for one of them."""

    def predict(self, features):
        if (features["x"] == 17).any():
            raise ModelFailed("the model cannot take 17")
        if (features["x"] == 13).any():
            raise ModelFailed("the model raised ValueError: 13") from ValueError("13")
        return super().predict(features)


MADE = [
    (
        job(
            contract=[
                Field("x", pl.Int64, low=0, high=9),
                Field("y", pl.Int64, one_of=[1, 2], nullable=True),
                Rule("odd", pl.col("x") != 5),
                Rule("sum", pl.col("x") + pl.col("z") > 0),
            ]
        ),
        {"x": [None, NAN, INF, -1.0, 10.0, 1.5, 5.0, 1.0, 2.0], "y": [1] * 8 + [3], "z": [1] * 7 + [None, 1]},
        Doubling(),
    ),
    (
        job(
            filters=[Filter("keep", pl.col("k") > 0)],
            features=[number("x"), category("t"), category("c")],
            output=[row_id("id"), passthrough("small", pl.Int8), prediction("p")],
            row_id="i",
        ),
        {
            "k": [None] + [1] * 11,
            "x": [1.0, 1.0, None, NAN, INF, 1e300, 1.0, 4.0, 1.0, 1.0, 1.0, 1.0],
            "t": ["a"] * 6 + ["b"] + ["a"] * 5,
            "c": [1.0, 1.5] + [1.0] * 10,
            "i": [1.0] * 8 + [None, 1.5, 1.0, 1.0],
            "small": [1] * 10 + [300, 1],
        },
        Raising(inputs=("x", "t")),
    ),
    (job(), {"x": [1.0, 13.0, 17.0, 4.0]}, Unlucky()),
]


def test_every_reason_that_runs_give_is_in_the_table_and_every_one_in_the_table_is_given():
    found = [scored(declared, pl.DataFrame(rows), model=model) for declared, rows, model in MADE]
    given = {reason for made in found for reasons in rejections(made).values() for reason in reasons}
    forms = {reason: [name for name, form in FORMS.items() if form.fullmatch(reason)] for reason in given}
    assert {reason: names for reason, names in forms.items() if len(names) != 1} == {}
    assert {name for names in forms.values() for name in names} == set(FORMS)


WRITTEN = re.compile(r'f?"((?:rule|feature|filter|model|output|prediction|row_id):[^"]+|\{[\w.]*name\}:[^"]+)"')


def blank(reason):
    """A reason without its names and values."""
    return re.sub(r"\{[^}]*\}|[A-Z]{4,}", "_", reason)


def test_the_table_has_the_reasons_that_the_code_spells():
    files = ["contract", "score", "suspects", "culprits", "filters", "features", "output"]
    spelled = {blank(one) for name in files for one in WRITTEN.findall((SOURCE / f"{name}.py").read_text("utf-8"))}
    assert spelled == {blank(form) for form, _, _ in REASONS}


def test_the_table_has_every_reason_of_records_that_are_no_rows():
    known = {value for value in vars(records).values() if isinstance(value, str) and value.startswith("record:")}
    assert {form for form, _, _ in RECORD_REASONS} == known
