"""Rows on which a model fails: those that it cannot take are rejected, and no others."""

import warnings
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestRegressor
from tests.unit.samples import Doubling, job, rejections, scored

from scoreline import between, category, number
from scoreline.abc import Predictions
from scoreline.errors import ModelFailed, ModelInvalid
from scoreline.models.sklearn import adapt
from scoreline.report import Counts
from scoreline.suspects import _TOO_LARGE, refused

NAN, INF = float("nan"), float("inf")
KINDS = {"infinite": INF, "nan": NAN, "too large": -1e300, "null": None}


@dataclass(frozen=True)
class Fussy:
    """Adds its features, and raises where one of them is what it cannot take, as a model does: for a whole batch.

    Attributes:
        bad: (feature, kind) pairs that it cannot take; kind ``never seen`` is a text that is not "a".
        told: whether its error says which rows have categories that it has never seen.
        calls: rows of each call.
    """

    bad: frozenset = frozenset()
    told: bool = True
    inputs: tuple = ("x", "y", "t")
    calls: list = field(default_factory=list)

    def predict(self, features):
        self.calls.append(features.height)
        unknown = features["t"].is_not_null() & (features["t"] != "a")
        found = {(name, kind): rows for name in ("x", "y") for kind, rows in oddities(features[name]).items()}
        found |= {("t", "null"): features["t"].is_null(), ("t", "never seen"): unknown}
        if any(found[pair].any() for pair in self.bad):
            rows = unknown.arg_true().to_list()
            raise ModelFailed("the model raised ValueError", **({"unseen": {"t": rows}} if self.told and rows else {}))
        return Predictions(features["x"].fill_nan(0).fill_null(0).clip(-9, 9), {"t": int(unknown.sum())})


def oddities(values):
    return {
        "infinite": values.is_infinite().fill_null(value=False),
        "nan": values.is_nan().fill_null(value=False),
        "too large": ((values.abs() > 3.5e38) & values.is_finite()).fill_null(value=False),
        "null": values.is_null(),
    }


def fussy(*bad, **how):
    return Fussy(frozenset(bad), **how)


DECLARED = job(features=[number("x"), number("y"), category("t")])


def rows(*some):
    return pl.DataFrame(some, schema={"x": pl.Float64, "y": pl.Float64, "t": pl.String}, orient="row")


# --- one kind of trouble --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "value"), KINDS.items())
def test_a_number_that_the_model_cannot_take_rejects_its_row(kind, value):
    frame = rows((1.0, 1.0, "a"), (value, 1.0, "a"), (3.0, 1.0, "a"))
    made = scored(DECLARED, frame, 100, fussy(("x", kind)))
    assert rejections(made) == {101: [f"feature:x:{kind}"]}
    assert made.frame["p"].to_list() == [1.0, 3.0]
    assert made.counts == Counts(3, 2, {}, 1, {f"feature:x:{kind}": 1}, unseen={"t": 0})


@pytest.mark.parametrize(("kind", "value"), KINDS.items())
def test_what_the_model_can_take_rejects_nothing(kind, value):
    others = [other for other in KINDS if other != kind]
    frame = rows((1.0, value, "a"), *((KINDS[other], 1.0, "a") for other in others))
    made = scored(DECLARED, frame, model=fussy(*(("x", other) for other in others)))
    assert rejections(made) == {row: [f"feature:x:{other}"] for row, other in enumerate(others, 1)}
    assert made.frame.height == 1


def test_a_missing_category_rejects_its_row_where_a_missing_number_does_not():
    frame = rows((1.0, None, "a"), (2.0, 1.0, None), (3.0, 1.0, "a"))
    assert rejections(scored(DECLARED, frame, model=fussy(("t", "null")))) == {1: ["feature:t:null"]}
    assert rejections(scored(DECLARED, frame, model=fussy(("y", "null")))) == {0: ["feature:y:null"]}


def test_a_category_that_the_model_refuses_rejects_its_row():
    frame = rows((1.0, 1.0, "a"), (2.0, 1.0, "b"), (INF, 1.0, "a"))
    made = scored(DECLARED, frame, model=fussy(("t", "never seen")))
    assert rejections(made) == {1: ["feature:t:never seen"]}
    assert made.frame["p"].to_list() == [1.0, 9.0]


def test_a_missing_value_in_one_feature_is_no_reason_against_another_feature_s():
    # As with an imputer for x, and none for y.
    frame = rows((None, 1.0, "a"), (1.0, None, "a"), (2.0, 1.0, "a"))
    made = scored(DECLARED, frame, model=fussy(("y", "null")))
    assert rejections(made) == {1: ["feature:y:null"]}
    assert made.frame["p"].to_list() == [0.0, 2.0]


# --- several kinds --------------------------------------------------------------------------------------------------


def test_each_row_is_rejected_for_what_the_model_cannot_take_in_it():
    frame = rows((INF, 1.0, "a"), (1.0, NAN, "a"), (None, 1.0, "b"), (1.0, 1.0, "a"))
    made = scored(DECLARED, frame, model=fussy(("x", "infinite"), ("y", "nan"), ("t", "never seen"), ("x", "null")))
    assert rejections(made)[0] == ["feature:x:infinite"]
    assert rejections(made)[1] == ["feature:y:nan"]
    # Nothing tells which of the two it was.
    assert rejections(made)[2] == ["feature:x:null", "feature:t:never seen"]
    assert made.frame["p"].to_list() == [1.0]


def test_a_row_is_rejected_for_the_fewest_reasons_that_explain_it():
    frame = rows((INF, None, "a"), (INF, 1.0, "a"), (1.0, None, "a"))
    assert rejections(scored(DECLARED, frame, model=fussy(("y", "null")))) == {
        0: ["feature:y:null"],
        2: ["feature:y:null"],
    }
    assert rejections(scored(DECLARED, frame[:2], model=fussy(("y", "null")))) == {0: ["feature:y:null"]}


def test_a_row_with_two_bad_values_has_both_reasons_where_others_show_each():
    frame = rows((INF, None, "a"), (INF, 1.0, "a"), (1.0, None, "a"), (1.0, 1.0, "a"))
    made = scored(DECLARED, frame, model=fussy(("y", "null"), ("x", "infinite")))
    assert rejections(made) == {
        0: ["feature:x:infinite", "feature:y:null"],
        1: ["feature:x:infinite"],
        2: ["feature:y:null"],
    }


def test_where_all_rows_are_suspect_those_that_the_model_takes_are_scored():
    frame = rows((INF, 1.0, "a"), (1.0, None, "a"))
    made = scored(DECLARED, frame, model=fussy(("x", "infinite")))
    assert (rejections(made), made.frame["p"].to_list()) == ({0: ["feature:x:infinite"]}, [1.0])


def test_where_the_model_takes_no_row_none_is_scored_and_the_types_stay():
    frame = rows((INF, 1.0, "a"), (NAN, 1.0, "a"))
    made = scored(DECLARED, frame, model=fussy(("x", "infinite"), ("x", "nan")))
    assert rejections(made) == {0: ["feature:x:infinite"], 1: ["feature:x:nan"]}
    assert (made.frame.height, made.frame.schema) == (0, {"p": pl.Float64})


def test_rows_that_filters_leave_out_are_no_trouble():
    declared = job(features=DECLARED.features, filters=[between("x", 0, 5)])
    frame = rows((INF, 1.0, "a"), (1.0, 1.0, "a"), (2.0, None, "a"))
    made = scored(declared, frame, 10, fussy(("x", "infinite"), ("y", "null")))
    assert rejections(made) == {12: ["feature:y:null"]}
    assert made.counts.filtered == {"x": 1}


def test_a_model_that_takes_all_rows_is_asked_once():
    model = fussy(("x", "null"))
    scored(DECLARED, rows((INF, NAN, "b"), (1.0, None, None)), model=model)
    assert model.calls == [2]


def test_rows_of_one_kind_are_tried_together_and_two_of_those_that_fail_by_themselves():
    model = fussy(("x", "null"))
    scored(DECLARED, rows(*[(None, 1.0, "a"), (INF, 1.0, "a"), (1.0, 1.0, "a")] * 50), model=model)
    assert sorted(model.calls) == [1, 1, 50, 50, 100, 150]


# --- no explanation -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refusing(Doubling):
    """Raises whatever it is given."""

    def predict(self, features):
        raise ModelFailed("the model raised ValueError: odd", hint="look") from ValueError("odd")


def test_a_model_that_fails_on_good_numbers_speaks_for_itself():
    with pytest.raises(ModelFailed, match="ValueError: odd") as caught:
        scored(job(), pl.DataFrame({"x": [1.0]}), model=Refusing())
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("value", KINDS.values(), ids=KINDS)
def test_a_model_that_fails_with_and_without_suspects_speaks_for_itself(value):
    with pytest.raises(ModelFailed, match="ValueError: odd") as caught:
        scored(job(), pl.DataFrame({"x": [1.0, value]}), model=Refusing())
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.hint == "look"


def test_a_model_that_fails_on_a_category_and_does_not_say_so_rejects_its_row_without_an_explanation():
    made = scored(DECLARED, rows((1.0, 1.0, "a"), (2.0, 1.0, "b")), model=fussy(("t", "never seen"), told=False))
    assert rejections(made) == {1: ["model:refused"]}


def test_an_error_that_is_not_the_model_s_is_passed_on():
    @dataclass(frozen=True)
    class Invalid(Doubling):
        def predict(self, features):
            raise ModelInvalid("two columns")

    with pytest.raises(ModelInvalid):
        scored(job(), pl.DataFrame({"x": [1.0, None]}), model=Invalid())


# --- predictions that are none --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Saying(Doubling):
    """Predicts given values."""

    says: tuple = ()

    def predict(self, features):
        return Predictions(pl.Series(self.says))


@pytest.mark.parametrize("says", [None, NAN, INF, -INF])
def test_a_prediction_that_is_no_number_rejects_its_row(says):
    made = scored(job(), pl.DataFrame({"x": [1.0, 2.0, 3.0]}), 7, Saying(says=(1.0, says, 3.0)))
    assert rejections(made) == {8: ["prediction:not finite"]}
    assert made.frame["p"].to_list() == [1.0, 3.0]


def test_a_missing_prediction_among_whole_numbers_rejects_its_row():
    made = scored(job(), pl.DataFrame({"x": [1.0, 2.0]}), model=Saying(says=(None, 4)))
    assert (rejections(made), made.frame["p"].to_list()) == ({0: ["prediction:not finite"]}, [4.0])


def test_a_model_that_predicts_nothing_at_all_rejects_all_rows():
    made = scored(job(), pl.DataFrame({"x": [1.0, 2.0]}), model=Saying(says=(NAN, None)))
    assert (made.frame.height, made.counts.reasons) == (0, {"prediction:not finite": 2})


# --- whatever a model cannot take -----------------------------------------------------------------------------------

PAIRS = [*product(("x", "y"), KINDS), ("t", "null"), ("t", "never seen")]
NUMBERS = st.sampled_from([1.0, 2.0, *KINDS.values()])
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, st.sampled_from(["a", "b", None])), min_size=1, max_size=8)


def troubles(row):
    """The (feature, kind) pairs of one row."""
    x, y, t = row
    found = [(name, kind) for name, value in (("x", x), ("y", y)) for kind, odd in KINDS.items() if same(value, odd)]
    return {*found, *([("t", "null")] if t is None else [("t", "never seen")] if t != "a" else [])}


def same(value, odd):
    return value is odd or (value is not None and odd is not None and repr(value) == repr(odd))


@given(ROWS, st.sets(st.sampled_from(PAIRS)))
@example([(INF, None, "a"), (None, 1.0, "b")], {("y", "null"), ("t", "never seen")})
def test_a_row_is_rejected_exactly_if_the_model_cannot_take_it_whatever_its_company(some, bad):
    made = scored(DECLARED, rows(*some), model=fussy(*bad))
    reasons = rejections(made)
    assert set(reasons) == {place for place, row in enumerate(some) if troubles(row) & bad}
    for place, told in reasons.items():
        # At least one of them is right, and none of them is made up.
        named = {tuple(reason.removeprefix("feature:").split(":")) for reason in told}
        assert named & bad
        assert named <= troubles(some[place])


@given(ROWS, st.sets(st.sampled_from(PAIRS)))
def test_it_is_found_in_few_calls(some, bad):
    model = fussy(*bad)
    scored(DECLARED, rows(*some), model=model)
    assert len(model.calls) <= 2 + 3 * len({frozenset(troubles(row)) for row in some})


def test_what_rounds_to_the_largest_small_float_is_not_too_large():
    largest = 3.4028235e38  # as it is printed, and a little above it
    frame = rows((largest, 1.0, "a"), *[(1e39, 1.0, "a")] * 60, (-1e39, 1.0, "a"), (2.0, 1.0, "a"))
    made = scored(DECLARED, frame, model=fussy(("x", "too large")))
    assert rejections(made) == {place: ["feature:x:too large"] for place in range(1, 62)}


def test_too_large_begins_where_32_bits_end():
    with np.errstate(over="ignore"):
        assert np.isinf(np.float32(_TOO_LARGE))
    assert np.isfinite(np.float32(np.nextafter(_TOO_LARGE, 0)))


@pytest.mark.parametrize("accelerated", [False, True])
def test_a_forest_takes_the_largest_small_float_beside_rows_that_are_too_large(accelerated):
    forest = RandomForestRegressor(3, max_depth=3, random_state=0)
    forest.fit(np.arange(60.0).reshape(-1, 2), np.arange(30.0))
    model = adapt(forest, ("x", "y"), {})
    declared = job(features=[number("x"), number("y")])
    frame = rows((3.4028235e38, 1.0, "a"), *[(1e39, 1.0, "a")] * 60, *[(2.0, 1.0, "a")] * 60)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        made = scored(declared, frame, model=model.accelerated() if accelerated else model)
    assert rejections(made) == {place: ["feature:x:too large"] for place in range(1, 61)}


def test_without_a_suspect_nothing_is_refused():
    assert refused(Refusing(), pl.DataFrame({"x": [1.0, 2.0]}), ModelFailed()) == {}
