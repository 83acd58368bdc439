"""Other datasets than New York's, through jobs as their users would write them."""

import numpy as np
import polars as pl
import pytest
from tests.integration.place import Place, digest_of, require_close

from scoreline import (
    Files,
    Filter,
    between,
    category,
    computed,
    cross,
    duration,
    expression,
    number,
    passthrough,
    prediction,
    ratio,
    row_id,
)

FLOWERS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
AREAS = ["pickup_community_area", "dropoff_community_area"]


@pytest.fixture
def chicago(real_data):
    return real_data / "chicago"


def text(value):
    """A category as the original sees it: None where it is missing."""
    import pandas as pd

    return None if pd.isna(value) else str(value)


# --- one day of rides: areas are text with nulls -------------------------------------------------------------------


def rides_job(place, chicago):
    return place.job(
        Files("chicago_taxi_trips_one_day_{yyyy}_{mm}.parquet", under=chicago),
        [cross("PU_DO", *AREAS), category("company"), number("trip_miles")],
        [
            row_id("trip_id"),
            passthrough(AREAS[0], pl.String),
            passthrough("trip_start_timestamp", pl.Datetime("us")),
            computed("fare_per_mile", pl.col("fare") / pl.col("trip_miles")),
            prediction("predicted_duration"),
        ],
        row_id="trip_id",
        partition="month",
        data_tz="America/Chicago",
        filters=[Filter("duration known", pl.col("trip_seconds").is_not_null()), between("trip_seconds", 60, 3600)],
    )


def rides_by_hand(chicago):
    import pandas as pd

    rides = pd.read_parquet(chicago / "chicago_taxi_trips_one_day_2022_03.parquet")
    rides = rides[rides.trip_seconds.between(60, 3600)]
    records = []
    for ride in rides.itertuples():
        areas = [text(getattr(ride, name)) for name in AREAS]
        route = None if None in areas else "_".join(areas)
        records.append({"PU_DO": route, "company": text(ride.company), "trip_miles": ride.trip_miles})
    return rides, records


def test_rides_of_chicago_with_areas_as_text_and_missing(place, chicago):
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import Ridge

    rides, records = rides_by_hand(chicago)
    vectorizer = DictVectorizer()
    known = [{name: value for name, value in record.items() if value is not None} for record in records]
    ridge = Ridge().fit(vectorizer.fit_transform(known), rides.trip_seconds / 60)
    place.keep((vectorizer, ridge))
    report = place.run(rides_job(place, chicago), "2022-03")
    published = place.read(rides_job(place, chicago), "2022-03")
    assert report.counts.rows_in == 14_636
    assert report.counts.filtered["duration known"] == 1
    assert report.counts.unseen == {"PU_DO": sum(record["PU_DO"] is None for record in records)}
    assert published["trip_id"].to_list() == rides.trip_id.to_list()
    assert published[AREAS[0]].to_list() == [text(value) for value in rides[AREAS[0]]]
    assert (published["trip_start_timestamp"].to_numpy() == rides.trip_start_timestamp.to_numpy()).all()
    require_close(published["predicted_duration"], ridge.predict(vectorizer.transform(records)))


def test_missing_categories_reach_a_model_of_named_columns_as_pandas_has_them(place, chicago):
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    rides, _ = rides_by_hand(chicago)
    features = rides[["pickup_community_area", "company", "trip_miles"]]
    zones = ("zones", OneHotEncoder(handle_unknown="ignore"), ["pickup_community_area", "company"])
    model = make_pipeline(ColumnTransformer([zones, ("miles", "passthrough", ["trip_miles"])]), Ridge())
    model.fit(features, rides.trip_seconds / 60)
    place.keep(model)
    job = place.job(
        Files("chicago_taxi_trips_one_day_{yyyy}_{mm}.parquet", under=chicago),
        [category("pickup_community_area"), category("company"), number("trip_miles")],
        [row_id("trip_id"), prediction("predicted_duration")],
        row_id="trip_id",
        partition="month",
        filters=[Filter("duration known", pl.col("trip_seconds").is_not_null()), between("trip_seconds", 60, 3600)],
    )
    assert features.pickup_community_area.isna().any()
    require_close(place.scored(job, "2022-03")["predicted_duration"], model.predict(features))


def test_a_ride_without_a_duration_goes_to_quarantine(place, chicago):
    place.keep(flower_model([[1.0], [2.0]], [0, 1]))
    job = place.job(
        Files("chicago_taxi_trips_one_day_{yyyy}_{mm}.parquet", under=chicago),
        [number("trip_miles")],
        [row_id("trip_id"), prediction()],
        partition="month",
        filters=[between("trip_seconds", 60, 3600)],
    )
    report = place.run(job, "2022-03")
    rides = pl.read_parquet(chicago / "chicago_taxi_trips_one_day_2022_03.parquet").with_row_index("n")
    without = rides.filter(pl.col("trip_seconds").is_null())
    assert report.counts.reasons == {"filter:trip_seconds:null": without.height}
    kept = pl.read_parquet(report.quarantine)
    assert kept["scoreline.row"].to_list() == without["n"].to_list()
    assert kept["trip_miles"].to_list() == without["trip_miles"].to_list()


# --- a sample of three years, from CSV: unix seconds, whole numbers with nulls -------------------------------------


def test_a_sample_of_chicago_from_csv_with_unix_seconds(place, chicago, tmp_path):
    from sklearn.linear_model import LinearRegression

    rides = pl.read_csv(chicago / "chicago_taxi_sample_2013_2016.csv", infer_schema_length=None)
    rides.write_parquet(tmp_path / "sample.parquet")
    known = rides.filter(pl.col("trip_miles") > 0, pl.col("trip_seconds") > 0)
    start = known["trip_start_timestamp"].to_numpy()
    inputs = np.column_stack(
        [known["trip_miles"], start % 86_400 // 3_600, known["fare"].to_numpy() / known["trip_miles"].to_numpy()]
    )
    model = LinearRegression().fit(inputs, known["trip_seconds"].to_numpy() / 60)
    place.keep(model)
    job = place.job(
        Files("{slug}.parquet", under=tmp_path),
        [
            number("trip_miles"),
            expression("hour", pl.from_epoch("trip_start_timestamp").dt.hour()),
            ratio("fare_per_mile", "fare", "trip_miles"),
        ],
        [row_id(), passthrough("dropoff_community_area", pl.Int64), prediction()],
        filters=[
            Filter("moved", pl.col("trip_miles") > 0),
            Filter("took time", pl.col("trip_seconds").fill_null(0) > 0),
        ],
    )
    published = place.scored(job, "sample")
    assert published["dropoff_community_area"].equals(known["dropoff_community_area"])
    assert published["dropoff_community_area"].null_count() > 0
    require_close(published["prediction"], model.predict(inputs))


def test_durations_between_columns_of_different_time_units(place, tmp_path):
    start = pl.Series([0, 86_400_000], dtype=pl.Int64).cast(pl.Datetime("ms"))
    end = pl.Series([90_000_000_001, 172_800_000_000_000], dtype=pl.Int64).cast(pl.Datetime("ns"))
    pl.DataFrame({"start": start, "end": end}).write_parquet(tmp_path / "mixed.parquet")
    place.keep(flower_model([[1.0], [2.0]], [3, 4]))
    job = place.job(
        Files("{slug}.parquet", under=tmp_path),
        [number("minutes")],
        [row_id(), computed("lasted", pl.col("minutes")), prediction("kind", pl.Int64)],
        derive=[duration("minutes", "start", "end")],
    )
    assert place.scored(job, "mixed")["lasted"].to_list() == [90.000000001 / 60, 1440.0]


# --- iris, from CSV: text labels, four numbers by position ---------------------------------------------------------


def flower_model(inputs, labels):
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(random_state=0).fit(np.asarray(inputs), labels)


def test_iris_from_csv_gets_its_species(place, real_data, tmp_path):
    flowers = pl.read_csv(real_data / "iris/iris.csv")
    flowers.write_parquet(tmp_path / "iris.parquet")
    model = flower_model(flowers[::2].select(FLOWERS).to_numpy(), flowers[::2]["species"].to_numpy().astype(str))
    place.keep(model)
    job = place.job(
        Files("{slug}.parquet", under=tmp_path),
        [number(name) for name in FLOWERS],
        [row_id("flower"), *(passthrough(name, pl.Float64) for name in FLOWERS), prediction("species", pl.String)],
    )
    published = place.scored(job, "iris")
    assert published["species"].to_list() == model.predict(flowers.select(FLOWERS).to_numpy()).tolist()
    assert published["flower"].to_list() == [f"iris_0-{row}" for row in range(150)]
    assert published.select(FLOWERS).equals(flowers.select(FLOWERS))


def test_several_files_of_a_partition_are_one_in_the_order_of_their_names(place, real_data, tmp_path):
    flowers = pl.read_csv(real_data / "iris/iris.csv")
    for name, rows in (("b", flowers[100:]), ("a", flowers[:60]), ("a-1", flowers[60:100])):
        (tmp_path / "iris").mkdir(exist_ok=True)
        rows.write_parquet(tmp_path / f"iris/{name}.parquet")
    place.keep(flower_model(flowers.select(FLOWERS).to_numpy(), flowers["species"].to_numpy().astype(str)))
    features = [number(name) for name in FLOWERS]
    job = place.job(Files("{slug}/*.parquet", under=tmp_path), features, [row_id("flower"), prediction("s", pl.String)])
    published = place.scored(job, "iris", engine="threads")
    sizes = {"a-1": 40, "a": 60, "b": 50}
    ids = [f"iris_{ordinal}-{row}" for ordinal, rows in enumerate(sizes.values()) for row in range(rows)]
    assert published["flower"].to_list() == ids
    assert published["s"].to_list() == [
        *flowers["species"][60:100],
        *flowers["species"][:60],
        *flowers["species"][100:],
    ]


@pytest.mark.parametrize("narrow", [pl.Int8, pl.UInt16, pl.Float32, pl.Float64, pl.Decimal(5, 1)], ids=str)
def test_the_type_of_a_whole_column_changes_no_prediction(tmp_path, narrow):
    values = [1, 2, 60, 99]
    digests = set()
    for name, kind in (("wide", pl.Int64), ("narrow", narrow)):
        place = Place(tmp_path / name)
        place.root.mkdir()
        pl.DataFrame({"x": pl.Series(values).cast(kind)}).write_parquet(place.root / "some.parquet")
        place.keep(flower_model([[value] for value in values], ["a", "b", "c", "d"]))
        job = place.job(
            Files("{slug}.parquet", under=place.root), [number("x")], [row_id(), prediction("p", pl.String)]
        )
        digests.add(digest_of(place.scored(job, "some")))
    assert len(digests) == 1
