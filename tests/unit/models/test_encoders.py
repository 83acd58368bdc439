"""Unseen categories of encoders inside pipelines, counted and named as scikit-learn itself would see them."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.ensemble import VotingRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from scoreline.errors import ModelFailed
from scoreline.models.encoders import count_unseen, learned_by
from scoreline.models.sklearn import adapt

TRAINING = pd.DataFrame({"zone": ["a", "b", "c", "a"], "code": [1, 2, 3, 1], "miles": [1.0, 2.0, 3.0, 4.0]})
TARGET = np.array([1.0, 2.0, 3.0, 4.0])
NAMES = tuple(TRAINING.columns)
ROWS = pl.DataFrame(
    {"zone": ["a", "x", None, "c", "y"], "code": [1, 2, 9, 3, 3], "miles": [1.0, 2.0, 3.0, 4.0, 5.0]},
    schema={"zone": pl.String, "code": pl.Int64, "miles": pl.Float64},
)
IGNORING = {"handle_unknown": "ignore"}
NUMBERED = {"handle_unknown": "use_encoded_value", "unknown_value": -1}


def columns(*transformers, remainder="drop"):
    return ColumnTransformer(list(transformers), remainder=remainder)


def unseen(first, rows=ROWS, training=TRAINING):
    pipeline = make_pipeline(first, LinearRegression()).fit(training, TARGET)
    return adapt(pipeline, tuple(training.columns), {}).predict(rows).unseen


@pytest.mark.parametrize(
    "encoder",
    [OneHotEncoder(**IGNORING), OrdinalEncoder(**NUMBERED), TargetEncoder(cv=2, target_type="continuous")],
    ids=lambda encoder: type(encoder).__name__,
)
def test_rows_with_a_category_that_was_never_seen_are_counted_by_feature(encoder):
    found = unseen(columns(("e", encoder, ["zone", "code"]), ("n", "passthrough", ["miles"])))
    assert found == {"zone": 3, "code": 1}


def test_seen_rows_are_not_counted():
    assert unseen(columns(("e", OneHotEncoder(**IGNORING), ["zone"])), ROWS[[0, 3]]) == {}


@pytest.mark.parametrize(
    "picked", [["zone"], [0], slice(0, 1), slice("zone", "zone"), [True, False, False], make_column_selector("zo.*")]
)
def test_columns_are_picked_in_every_way_that_a_column_transformer_knows(picked):
    assert unseen(columns(("e", OneHotEncoder(**IGNORING), picked))) == {"zone": 3}


def test_what_is_left_over_goes_to_the_remainder():
    first = columns(("n", "passthrough", ["miles", "code"]), remainder=OneHotEncoder(**IGNORING))
    assert unseen(first) == {"zone": 3}


def test_nested_pipelines_and_column_transformers_are_followed():
    inner = columns(("e", make_pipeline("passthrough", OneHotEncoder(**IGNORING)), [1]))
    outer = columns(("inner", make_pipeline(inner), ["miles", "zone"]), ("o", OrdinalEncoder(**NUMBERED), ["code"]))
    assert unseen(outer) == {"zone": 3, "code": 1}


def test_a_union_of_encoders_counts_a_row_once():
    union = FeatureUnion([("a", OneHotEncoder(**IGNORING)), ("b", OrdinalEncoder(**NUMBERED))])
    assert unseen(columns(("u", union, ["zone"]))) == {"zone": 3}


def test_a_regressor_of_a_transformed_target_is_followed():
    inner = make_pipeline(columns(("e", OneHotEncoder(**IGNORING), ["zone"])), LinearRegression())
    model = TransformedTargetRegressor(inner, func=np.log, inverse_func=np.exp).fit(TRAINING, TARGET)
    assert adapt(model, NAMES, {}).predict(ROWS).unseen == {"zone": 3}


def test_an_imputer_before_the_encoder_fills_what_is_missing():
    steps = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(**IGNORING))
    assert unseen(columns(("e", steps, ["zone"]))) == {"zone": 2}


@pytest.mark.parametrize(("fill", "count"), [("missing", 3), ("a", 2)])
def test_what_an_imputer_fills_in_is_a_category_that_was_seen_or_is_none(fill, count):
    steps = make_pipeline(SimpleImputer(strategy="constant", fill_value=fill), OneHotEncoder(**IGNORING))
    assert unseen(columns(("e", steps, ["zone"]))) == {"zone": count}


@pytest.mark.parametrize("kind", [pl.String(), pl.Categorical(), pl.Enum(["a", "c", "x", "y"])], ids=str)
def test_text_is_compared_whatever_its_type(kind):
    encoder = columns(("e", OneHotEncoder(**IGNORING), ["zone"]))
    assert unseen(encoder, ROWS.with_columns(pl.col("zone").cast(kind))) == {"zone": 3}


def test_a_function_transformer_without_a_function_passes_everything_on():
    steps = make_pipeline(FunctionTransformer(), OneHotEncoder(**IGNORING))
    assert unseen(columns(("e", steps, ["zone"]))) == unseen(columns(("e", OneHotEncoder(**IGNORING), ["zone"]))) != {}


def test_members_of_an_ensemble_are_followed():
    inner = make_pipeline(columns(("e", OneHotEncoder(**IGNORING), ["zone"])), LinearRegression())
    model = VotingRegressor([("one", inner), ("two", clone(inner))]).fit(TRAINING, TARGET)
    assert adapt(model, NAMES, {}).predict(ROWS).unseen == {"zone": 3}


@pytest.mark.parametrize(
    "before", [FunctionTransformer(lambda frame: frame), SimpleImputer(strategy="most_frequent", add_indicator=True)]
)
def test_behind_other_transformers_nothing_is_claimed(before):
    training = TRAINING.assign(zone=["a", "b", None, "a"]) if isinstance(before, SimpleImputer) else TRAINING
    assert unseen(columns(("e", make_pipeline(before, OneHotEncoder(**IGNORING)), ["zone"])), training=training) == {}


def test_transformers_that_encode_nothing_are_passed_by():
    first = columns(("words", CountVectorizer(analyzer="char"), "zone"), ("s", StandardScaler(), ["miles", "code"]))
    assert unseen(first, ROWS[[0, 1]]) == {}


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_null_is_seen_where_it_was_learned(missing):
    training = TRAINING.assign(zone=pd.Series(["a", missing, "c", "a"], dtype=object))
    assert unseen(columns(("e", OneHotEncoder(**IGNORING), ["zone"])), training=training) == {"zone": 2}


@pytest.mark.parametrize("values", [[1.0, None, 7.0], [1.0, float("nan"), 7.0]])
@pytest.mark.parametrize(("known", "count"), [([1.0, 2.0, 3.0, 1.0], 2), ([1.0, np.nan, 3.0, 1.0], 1)])
def test_a_missing_number_is_seen_where_it_was_learned(values, known, count):
    rows = ROWS[:3].with_columns(pl.Series("code", values, dtype=pl.Float64))
    first = columns(("e", OneHotEncoder(**IGNORING), ["code"]))
    assert unseen(first, rows, TRAINING.assign(code=known)) == {"code": count}


def test_a_boolean_is_a_category_too():
    training = TRAINING.assign(code=[True, True, True, True])
    rows = ROWS[:2].with_columns(pl.Series("code", [True, False]))
    assert unseen(columns(("e", OneHotEncoder(**IGNORING), ["code"])), rows, training) == {"code": 1}


def test_an_infrequent_category_was_seen():
    first = columns(("e", OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=2), ["zone"]))
    assert unseen(first) == {"zone": 3}


def test_a_model_of_arrays_counts_by_position():
    estimator = make_pipeline(OneHotEncoder(**IGNORING), LinearRegression()).fit([[1, 5], [2, 6]], [1.0, 2.0])
    found = adapt(estimator, ("p", "q"), {}).predict(pl.DataFrame({"p": [1, 3, 4], "q": [5, 5, 7]}))
    assert found.unseen == {"p": 2, "q": 1}


@given(
    known=st.lists(st.sampled_from(["a", "b", "", "ü", "1", None]), min_size=2, max_size=6),
    given_values=st.lists(st.sampled_from(["a", "b", "", "ü", "1", "x", None]), min_size=1, max_size=8),
)
def test_the_count_is_that_of_rows_which_the_encoder_makes_all_zero(known, given_values):
    encoder = OneHotEncoder(handle_unknown="ignore").fit(pd.DataFrame({"z": pd.Series(known, dtype=object)}))
    made = encoder.transform(pd.DataFrame({"z": pd.Series(given_values, dtype=object)}))
    zero = int((np.asarray(made.sum(axis=1)).ravel() == 0).sum())
    frame = pl.DataFrame({"z": given_values}, schema={"z": pl.String})
    assert count_unseen(learned_by(encoder, ("z",)), frame).get("z", 0) == zero


# --- encoders that refuse ---------------------------------------------------------------------------------------------


def refusing(**more):
    first = columns(("e", OneHotEncoder(), ["zone"]), ("o", OrdinalEncoder(**more), ["code"]))
    return adapt(make_pipeline(first, LinearRegression()).fit(TRAINING, TARGET), NAMES, {})


def test_a_refused_batch_names_the_rows_that_the_encoders_refuse():
    with pytest.raises(ModelFailed, match="ValueError") as caught:
        refusing().predict(ROWS)
    assert caught.value.unseen == {"zone": [1, 2, 4], "code": [2]}


def test_an_encoder_that_takes_unknown_categories_refuses_no_row():
    with pytest.raises(ModelFailed) as caught:
        refusing(**NUMBERED).predict(ROWS)
    assert caught.value.unseen == {"zone": [1, 2, 4]}


def test_the_other_rows_are_predicted_without_them():
    with pytest.raises(ModelFailed) as caught:
        refusing().predict(ROWS)
    refused = sorted({row for rows in caught.value.unseen.values() for row in rows})
    kept = ROWS.with_row_index("row").filter(~pl.col("row").is_in(refused)).drop("row")
    assert refusing().predict(kept).values.len() == 2


def test_positions_are_those_of_all_rows_not_of_a_slice(monkeypatch):
    monkeypatch.setattr("scoreline.models.frame_model.AT_ONCE", 2)
    with pytest.raises(ModelFailed) as caught:
        refusing().predict(ROWS)
    assert caught.value.unseen == {"zone": [1, 2, 4], "code": [2]}


def test_a_model_that_fails_for_another_reason_accuses_no_row():
    rows = ROWS[[0, 3]].with_columns(pl.Series("miles", [float("inf"), 1.0]))
    first = columns(("e", OneHotEncoder(), ["zone"]), ("n", "passthrough", ["miles"]))
    model = adapt(make_pipeline(first, LinearRegression()).fit(TRAINING, TARGET), NAMES, {})
    with pytest.raises(ModelFailed) as caught:
        model.predict(rows)
    assert "unseen" not in caught.value.facts


def test_a_calibrated_classifier_of_an_old_version_is_looked_through_as_far_as_it_can_be():
    """It names its estimator otherwise, and its own prediction says what is wrong with that."""
    labels = np.array([0, 1, 0, 1])
    model = CalibratedClassifierCV(LogisticRegression(), cv=2).fit(TRAINING[["code"]], labels)
    for calibrated in model.calibrated_classifiers_:
        calibrated.base_estimator = calibrated.__dict__.pop("estimator")
    assert learned_by(model, ["code"]) == ()
