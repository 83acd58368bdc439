"""Models of many kinds predict through Scoreline what they predict by hand, on a real month."""

import numpy as np
import polars as pl
import pytest
from tests.integration.place import MONTH, require_close, trips_job
from tests.oracle import nyc_green as oracle

from scoreline import category, cross, number, prediction

NUMBERS = ["trip_distance", "passenger_count", "RatecodeID", "trip_type"]


@pytest.fixture(scope="module")
def february(nyc):
    return oracle.read_trips(nyc / MONTH)


def estimators():
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.linear_model import Lasso, Ridge, SGDRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeRegressor

    return {
        "ridge": Ridge(),
        "lasso": Lasso(alpha=0.01),
        "sgd": make_pipeline(StandardScaler(with_mean=False), SGDRegressor(max_iter=5, tol=None, random_state=0)),
        "tree": DecisionTreeRegressor(max_depth=8),
        "small forest": RandomForestRegressor(n_estimators=3, max_depth=5, max_features=0.3, random_state=0),
        "deep forest": RandomForestRegressor(n_estimators=2, random_state=0),
    }


@pytest.mark.parametrize("name", ["ridge", "lasso", "sgd", "tree", "small forest", "deep forest"])
def test_any_regressor_behind_a_dict_vectorizer(place, nyc, january, february, name):
    from sklearn.feature_extraction import DictVectorizer

    vectorizer = DictVectorizer()
    matrix = vectorizer.fit_transform(oracle.features(january))
    matrix.indptr, matrix.indices = matrix.indptr.astype("int32"), matrix.indices.astype("int32")  # Lasso wants it so
    model = (vectorizer, estimators()[name].fit(matrix, january.actual_duration))
    place.keep(model)
    report, published = place.example(nyc, "2021-02")
    assert report.model["evidence"]["accelerated"]
    assert "reason" not in report.model["evidence"]  # nothing keeps it from being compiled
    require_close(published["predicted_duration"], oracle.raw_predictions(model, february))


def test_a_scaler_between_the_vectorizer_and_the_estimator(place, nyc, january, february):
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(DictVectorizer(), StandardScaler(with_mean=False), LinearRegression())
    model.fit(oracle.features(january), january.actual_duration)
    place.keep(model)
    report, published = place.example(nyc, "2021-02")
    assert report.model["kind"] == "DictVectorizer + StandardScaler + LinearRegression"
    assert "reason" not in report.model["evidence"]
    require_close(published["predicted_duration"], oracle.raw_predictions(model, february))


def test_gradient_boosting_on_a_dense_vectorizer(place, nyc, january, february):
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.feature_extraction import DictVectorizer

    def records(trips):
        return trips[["trip_distance"]].assign(zone=trips.PULocationID.astype(str)).to_dict("records")

    vectorizer = DictVectorizer(sparse=False)
    learned = january[:3_000]
    boosting = GradientBoostingRegressor(n_estimators=10, random_state=0)
    boosting.fit(vectorizer.fit_transform(records(learned)), learned.actual_duration)
    place.keep((vectorizer, boosting))
    job = trips_job(place, nyc, features=[category("zone", "PULocationID"), number("trip_distance")])
    assert place.run(job, "2021-02").model["evidence"]["accelerated"]
    published = place.read(job, "2021-02")
    require_close(published["predicted_duration"], boosting.predict(vectorizer.transform(records(february))))


def test_a_classifier_with_text_labels(place, nyc, january, february):
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler

    labels = np.where(january.actual_duration < 12, "short", np.where(january.actual_duration < 25, "usual", "long"))
    model = make_pipeline(DictVectorizer(), MaxAbsScaler(), LogisticRegression(tol=0.01, max_iter=300))
    model.fit(oracle.features(january), labels)
    place.keep(model)
    published = place.scored(trips_job(place, nyc, output=[prediction("length", pl.String)]), "2021-02")
    expected = model.predict(oracle.features(february))
    assert published["length"].to_list() == expected.tolist()
    assert set(published["length"]) == {"short", "usual", "long"}


def test_a_classifier_with_whole_number_labels_keeps_them_whole(place, nyc, january, february):
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.tree import DecisionTreeClassifier

    vectorizer, tree = DictVectorizer(), DecisionTreeClassifier(max_depth=6)
    tree.fit(vectorizer.fit_transform(oracle.features(january)), (january.actual_duration // 10).astype(int))
    place.keep((vectorizer, tree))
    published = place.scored(trips_job(place, nyc, output=[prediction("tens", pl.Int32)]), "2021-02")
    assert published.schema["tens"] == pl.Int32
    assert published["tens"].to_list() == tree.predict(vectorizer.transform(oracle.features(february))).tolist()


@pytest.mark.parametrize("month", ["2021-02", "2023-02"])
def test_histogram_boosting_over_numbers_that_are_missing(place, nyc, month):
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline

    def frame(name):
        trips = pd.read_parquet(nyc / name)
        minutes = (trips.lpep_dropoff_datetime - trips.lpep_pickup_datetime).dt.total_seconds() / 60
        kept = minutes.between(1, 60)
        return trips.loc[kept, NUMBERS].astype("float64"), minutes[kept]

    columns = ColumnTransformer([("numbers", "passthrough", NUMBERS)])
    model = make_pipeline(columns, HistGradientBoostingRegressor(max_iter=10, random_state=0))
    model.fit(*frame("green_tripdata_2021-01.parquet"))
    place.keep(model)
    published = place.scored(trips_job(place, nyc, features=[number(name) for name in NUMBERS]), month)
    inputs, _ = frame(f"green_tripdata_{month}.parquet")
    assert inputs.passenger_count.isna().any()
    require_close(published["predicted_duration"], model.predict(inputs))


def test_a_model_of_arrays_gets_its_features_by_position(place, nyc, january, february):
    from sklearn.linear_model import LinearRegression

    names = ["trip_distance", "PULocationID", "DOLocationID"]
    model = LinearRegression().fit(january[names].to_numpy(), january.actual_duration.to_numpy())
    place.keep(model)
    published = place.scored(trips_job(place, nyc, features=[number(name) for name in names]), "2021-02")
    require_close(published["predicted_duration"], model.predict(february[names].to_numpy()))


def test_predictions_of_one_column_are_one_value_a_row(place, nyc, january, february):
    from sklearn.linear_model import LinearRegression

    names = ["trip_distance", "PULocationID"]
    model = LinearRegression().fit(january[names].to_numpy(), january[["actual_duration"]].to_numpy())
    place.keep(model)
    published = place.scored(trips_job(place, nyc, features=[number(name) for name in names]), "2021-02")
    require_close(published["predicted_duration"], model.predict(february[names].to_numpy())[:, 0])


@pytest.mark.parametrize("compression", [3, ("lzma", 1), ("gzip", 3)], ids=["zlib", "lzma", "gzip"])
def test_a_model_that_joblib_compressed(place, nyc, oracle_model, february, compression):
    place.keep(oracle_model("pair"), "lin_reg.joblib", compress=compression)
    _, published = place.example(nyc, "2021-02")
    require_close(published["predicted_duration"], oracle.raw_predictions(oracle_model("pair"), february))


def test_a_model_that_was_fitted_on_a_frame_takes_columns_by_name_in_any_order(place, nyc, january, february):
    from sklearn.linear_model import LinearRegression

    names = ["trip_distance", "PULocationID", "DOLocationID"]
    model = LinearRegression().fit(january[names], january.actual_duration)
    place.keep(model)
    features = [number(name) for name in reversed(names)]
    published = place.scored(trips_job(place, nyc, features=features), "2021-02")
    require_close(published["predicted_duration"], model.predict(february[names]))


def test_three_columns_crossed_with_a_separator_of_ones_own(place, nyc, january, february):
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import Ridge

    def records(trips):
        ids = trips[oracle.IDS].astype(str)
        return [{"key": key} for key in ids.PULocationID + ">" + ids.DOLocationID + ">" + ids.PULocationID]

    vectorizer = DictVectorizer(separator="::")
    ridge = Ridge().fit(vectorizer.fit_transform(records(january)), january.actual_duration)
    place.keep((vectorizer, ridge))
    job = trips_job(place, nyc, features=[cross("key", "PULocationID", "DOLocationID", "PULocationID", sep=">")])
    assert place.run(job, "2021-02").model["evidence"]["accelerated"]
    published = place.read(job, "2021-02")
    require_close(published["predicted_duration"], ridge.predict(vectorizer.transform(records(february))))
