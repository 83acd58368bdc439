"""Models that cannot score what a job declares end the run with a clear error; nothing is published."""

import pickle

import numpy as np
import polars as pl
import pytest
from tests.integration.place import trips_job
from tests.months import make_month

from scoreline import category, cross, number, prediction
from scoreline.errors import InputInvalid, ModelInvalid, ModelMissing, Refused

ROUTE = cross("PU_DO", "PULocationID", "DOLocationID")
RECORDS = [{"PU_DO": "1_2", "trip_distance": 1.5}, {"PU_DO": "3_4", "trip_distance": 2.5}]
MINUTES = [5.0, 9.0]


@pytest.fixture
def trips(tmp_path):
    make_month(tmp_path / "data", 2021, 2, 300)
    return tmp_path / "data"


def pair(records=RECORDS, target=MINUTES):
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LinearRegression

    vectorizer = DictVectorizer()
    return vectorizer, LinearRegression().fit(vectorizer.fit_transform(records), target)


def refused(place, job, error, match, retry_helps=False):
    """The run fails for this reason, for good, leaves no file, and says so in the ledger."""
    with pytest.raises(error, match=match) as raised:
        place.run(job, "2021-02")
    assert raised.value.exit_code == 1
    assert raised.value.hint
    assert place.files() == []
    assert place.states() == ["failed"]


def test_a_feature_of_the_model_that_the_job_lacks(place, trips):
    place.keep(pair())
    job = trips_job(place, trips, features=[number("trip_distance")])
    refused(place, job, ModelInvalid, r"2 entries of features that the job does not declare, such as 'PU_DO=1_2'")


def test_a_feature_of_the_job_that_the_model_never_saw(place, trips):
    place.keep(pair())
    job = trips_job(place, trips, features=[ROUTE, number("trip_distance"), number("fare_amount")])
    refused(place, job, ModelInvalid, "never seen the feature 'fare_amount'")


def test_a_number_where_the_model_learned_a_category(place, trips):
    place.keep(pair([{"PULocationID": "1"}, {"PULocationID": "2"}]))
    job = trips_job(place, trips, features=[number("PULocationID")])
    refused(place, job, ModelInvalid, "knows the feature 'PULocationID' as a category, but the job makes it Int64")


def test_a_category_where_the_model_learned_a_number(place, trips):
    place.keep(pair([{"PULocationID": 1}, {"PULocationID": 2}]))
    job = trips_job(place, trips, features=[category("PULocationID")])
    refused(place, job, ModelInvalid, "knows the feature 'PULocationID' as a number, but the job makes it String")


def test_a_named_column_that_the_job_lacks(place, trips):
    import pandas as pd
    from sklearn.linear_model import LinearRegression

    place.keep(LinearRegression().fit(pd.DataFrame({"trip_distance": [1.0, 2.0], "speed": [3.0, 1.0]}), MINUTES))
    job = trips_job(place, trips, features=[number("trip_distance")])
    refused(place, job, ModelInvalid, "the model reads 'speed', which the job's features do not declare")


def test_another_number_of_features_by_position(place, trips):
    from sklearn.linear_model import LinearRegression

    place.keep(LinearRegression().fit(np.array([[1.0, 2.0, 3.0], [2.0, 1.0, 1.0]]), MINUTES))
    job = trips_job(place, trips, features=[number("trip_distance"), number("fare_amount")])
    refused(place, job, ModelInvalid, "reads 3 features by position, the job declares 2")


def test_text_where_the_model_reads_an_array(place, trips):
    from sklearn.linear_model import LinearRegression

    place.keep(LinearRegression().fit(np.array([[1.0, 2.0], [2.0, 1.0]]), MINUTES))
    job = trips_job(place, trips, features=[ROUTE, number("trip_distance")])
    refused(place, job, ModelInvalid, "by position, and 'PU_DO' is not numeric")


def test_two_predictions_for_each_row(place, trips):
    place.keep(pair(target=[[5.0, 1.0], [9.0, 2.0]]))
    refused(place, trips_job(place, trips), ModelInvalid, "predicts several numbers at once")


def test_something_that_cannot_predict(place, trips):
    from sklearn.preprocessing import StandardScaler

    place.keep(StandardScaler().fit([[1.0], [2.0]]))
    refused(place, trips_job(place, trips), ModelInvalid, "is a StandardScaler, which cannot predict")


def test_a_pickle_that_is_no_model(place, trips):
    place.keep({"coef": [1, 2]})
    refused(place, trips_job(place, trips), ModelInvalid, "is a dict, which cannot predict")


def test_an_estimator_that_was_never_fitted(place, trips):
    from sklearn.linear_model import LinearRegression

    place.keep((pair()[0], LinearRegression()))
    refused(place, trips_job(place, trips), ModelInvalid, "it was never fitted")


def test_a_vectorizer_that_was_never_fitted(place, trips):
    from sklearn.feature_extraction import DictVectorizer

    place.keep((DictVectorizer(), pair()[1]))
    refused(place, trips_job(place, trips), ModelInvalid, "it was never fitted")


def test_a_vectorizer_and_an_estimator_of_different_trainings(place, trips):
    more = [*RECORDS, {"PU_DO": "5_6", "trip_distance": 3.5}]
    place.keep((pair()[0], pair(more, [1.0, 2.0, 3.0])[1]))
    refused(place, trips_job(place, trips), ModelInvalid, "does not hold together")


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps(pair)[:-3], b"\x80\x04."], ids=repr)
def test_a_file_that_is_no_pickle(place, trips, content):
    place.model = place.root / "model.bin"
    place.model.write_bytes(content)
    place.trust()
    refused(place, trips_job(place, trips), ModelInvalid, "cannot be unpickled")


def test_a_pickle_of_a_class_from_a_module_that_is_not_here(place, trips):
    place.model = place.root / "model.bin"
    place.model.write_bytes(b"cno_such_module\nModel\n.")
    place.trust()
    refused(place, trips_job(place, trips), ModelInvalid, "needs the module 'no_such_module'")


def test_a_prediction_that_does_not_fit_its_declared_type(place, trips):
    place.keep(pair())
    job = trips_job(place, trips, output=[prediction("minutes", pl.Int32)])
    with pytest.raises(Refused, match="are quarantined") as caught:
        place.run(job, "2021-02")
    assert list(caught.value.counts["reasons"]) == ["output:minutes:not Int32"]
    assert place.files() == []


def test_a_number_that_is_missing_where_the_model_wants_all(place, trips):
    place.keep(pair([{"passenger_count": 1.0}, {"passenger_count": 2.0}]))
    job = trips_job(place, trips, features=[number("passenger_count")])
    with pytest.raises(Refused, match="are quarantined") as caught:
        place.run(job, "2021-02")
    assert list(caught.value.counts["reasons"]) == ["feature:passenger_count:null"]
    assert place.files() == []


def test_a_number_feature_over_a_text_column(place, trips):
    place.keep(pair([{"store_and_fwd_flag": 1.0}, {"store_and_fwd_flag": 2.0}]))
    job = trips_job(place, trips, features=[number("store_and_fwd_flag")])
    refused(place, job, InputInvalid, "needs a numeric column, but 'store_and_fwd_flag' is String")


def test_no_model_at_all(place, trips):
    place.model = place.root / "model.bin"
    with pytest.raises(ModelMissing, match="there is no model at"):
        place.run(trips_job(place, trips), "2021-02")
    assert place.files() == []
