"""The catalog's `nyc_simulated`: simulated, learned, scored, moved away, and the traps of such systems."""

import shutil
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
import skops.io

import scoreline
from scoreline.api.simulating import simulate
from scoreline.errors import InputMissing, Refused, UsageError

EXAMPLE = Path(__file__).parents[2] / "examples/nyc_simulated"
LEARNED, SCORED = "2025-01-17T14Z-2h", "2025-01-18T14Z-2h"
NAME, OUTPUT = "taxi_batch_20250118_160000.parquet", f"predictions_{SCORED}_20250118_160000.parquet"
READ = {
    "trip_id": pl.String,
    "batch_timestamp": pl.Datetime("us"),
    "PULocationID": pl.Int64,
    "DOLocationID": pl.Int64,
    "trip_distance": pl.Float64,
    "pickup_datetime": pl.Datetime("us"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The example's files and a model of 500 trips."""
    folder = tmp_path_factory.mktemp("nyc simulated") / "jobs"
    folder.mkdir(mode=0o755)
    for name in ("job.py", "simulator.py", "zones.csv"):
        shutil.copy(EXAMPLE / name, folder)
    simulate(folder, LEARNED, rows=500, training=True)
    scoreline.train(folder, LEARNED)
    return folder


@pytest.fixture
def job(trained, tmp_path):
    """A folder of its own for one test."""
    return Path(shutil.copytree(trained, tmp_path / "jobs", symlinks=True))


def run(job, partition=SCORED, **chosen):
    return scoreline.run(job, partition, **chosen)


def files(job, place):
    folder = job / "data" / place
    return sorted(path.name for path in folder.iterdir() if path.name[0] != ".") if folder.is_dir() else []


def spoil(job, **values):
    """Simulates the batch, and gives the values of some columns to row 7."""
    simulate(job, SCORED)
    path = job / "data/input" / NAME
    trips, seventh = pl.read_parquet(path), pl.int_range(pl.len()) == 7
    kept = [pl.when(~seventh).then(pl.col(name)).otherwise(value).alias(name) for name, value in values.items()]
    trips.with_columns(kept).write_parquet(path)


def test_a_batch_is_simulated_scored_published_and_moved_away(job):
    made = []
    report = run(job, simulate=True, simulated=made.append)
    assert (report.state, report.counts.rows_in, report.counts.scored) == ("published", 5_000, 5_000)
    assert [(one.path, one.rows) for one in made] == [(job / "data/input" / NAME, 5_000)]
    assert files(job, "output") == [OUTPUT]
    assert (files(job, "input"), files(job, "processed")) == ([], [f"processed_{SCORED}_{NAME}"])


def test_what_is_scored_does_not_hold_the_true_duration(job):
    simulate(job, SCORED)
    assert pl.read_parquet_schema(job / "data/input" / NAME) == READ


def test_what_is_learned_from_is_the_same_trips_with_it(job):
    simulate(job, SCORED)
    simulate(job, SCORED, training=True)
    scored, learned = (pl.read_parquet(job / "data" / place / NAME) for place in ("input", "training"))
    assert learned.drop("duration").equals(scored)
    assert learned["duration"].min() > 0


def test_a_second_run_simulates_nothing_and_leaves_no_second_output(job):
    run(job, simulate=True)
    made = []
    report = run(job, simulate=True, simulated=made.append)
    assert (report.state, made) == ("current", [])
    assert files(job, "output") == [OUTPUT]
    assert files(job, "processed") == [f"processed_{SCORED}_{NAME}"]


def test_input_that_is_there_is_not_made_anew(job):
    simulate(job, SCORED, rows=20)
    assert run(job, simulate=True).counts.rows_in == 20


def test_published_input_that_somebody_removed_is_not_made_anew(job):
    run(job, simulate=True)
    (job / "data/processed" / f"processed_{SCORED}_{NAME}").unlink()
    with pytest.raises(InputMissing):
        run(job, simulate=True, force=True)
    assert files(job, "input") == []


def test_without_being_asked_nothing_is_simulated(job):
    with pytest.raises(InputMissing):
        run(job)


def test_a_given_file_is_not_simulated(job):
    with pytest.raises(UsageError, match="nothing to simulate"):
        run(job, simulate=True, input=job / NAME)


def test_a_repetition_elsewhere_gives_the_same_trips_and_another_partition_others(job, trained, tmp_path):
    other = Path(shutil.copytree(trained, tmp_path / "other", symlinks=True))
    for folder, slug in ((job, SCORED), (other, SCORED), (other, "2025-01-18T16Z-2h")):
        simulate(folder, slug)
    first, again, later = (
        pl.read_parquet(path).drop("trip_id", "batch_timestamp")
        for path in (job / "data/input" / NAME, *sorted((other / "data/input").iterdir()))
    )
    assert again.equals(first)
    assert not any(later[name].equals(first[name]) for name in first.columns)


def test_the_output_has_the_columns_that_its_readers_know(job):
    run(job, simulate=True)
    assert pl.read_parquet_schema(job / "data/output" / OUTPUT) == {
        "trip_id": pl.String,
        "predicted_duration": pl.Float64,
        "prediction_timestamp": pl.Datetime("us", "UTC"),
        "pickup_location": pl.Int64,
        "dropoff_location": pl.Int64,
        "trip_distance": pl.Float64,
        "batch_timestamp": pl.Datetime("us"),
    }


def test_or_those_of_the_input_with_the_prediction(job):
    run(job, simulate=True, settings={"columns": "input"})
    wanted = READ | {"predicted_duration": pl.Float64, "prediction_timestamp": pl.Datetime("us", "UTC")}
    assert pl.read_parquet_schema(job / "data/output" / OUTPUT) == wanted


@pytest.mark.parametrize("reads", ["csv", "jsonl"])
def test_its_input_may_be_text_and_is_scored_alike(job, reads):
    simulate(job, SCORED, settings={"reads": reads})
    assert files(job, "input") == [NAME.replace("parquet", reads)]
    assert run(job, settings={"reads": reads}).counts.scored == 5_000
    texts = scoreline.read(job, SCORED, settings={"reads": reads}).drop("prediction_timestamp")
    simulate(job, SCORED)
    run(job)
    assert texts.equals(scoreline.read(job, SCORED).drop("prediction_timestamp"))


@pytest.mark.parametrize(("writes", "reader"), [("csv", pl.read_csv), ("jsonl", pl.read_ndjson)])
def test_it_may_be_text_and_then_says_which_model_it_was(job, writes, reader):
    report = run(job, simulate=True, settings={"writes": writes})
    trips = pl.read_parquet(job / "data/processed" / f"processed_{SCORED}_{NAME}")
    published = reader(job / "data/output" / OUTPUT.replace("parquet", writes))
    assert published["trip_id"].to_list() == trips["trip_id"].to_list()
    assert published["model_version"].unique().to_list() == [report.model["version"]]
    assert published.columns[-2:] == ["batch_timestamp", "model_version"]


@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_output_rows_have_the_order_of_the_input(job, engine):
    simulate(job, SCORED, rows=3_000)
    path = job / "data/input" / NAME
    trips = pl.read_parquet(path).sample(fraction=1, shuffle=True, seed=3)
    trips.write_parquet(path, row_group_size=500)
    run(job, engine=engine, workers=2)
    published = scoreline.read(job, SCORED)
    assert published["trip_id"].to_list() == trips["trip_id"].to_list()
    assert published["trip_distance"].to_list() == trips["trip_distance"].to_list()


@pytest.fixture
def pipeline(job):
    """The trained pipeline, opened without Scoreline."""
    path = (job / "models/lin_reg/model.skops").resolve()
    return skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))


def predicted(pipeline, trips):
    """What scikit-learn itself predicts of dictionaries."""
    routes = trips["PULocationID"].cast(pl.String) + "_" + trips["DOLocationID"].cast(pl.String)
    return pipeline.predict(trips.select("trip_distance", routes.alias("PU_DO")).to_dicts())


def test_predictions_are_those_of_the_pipeline_on_dictionaries(job, pipeline):
    run(job, simulate=True)
    trips = pl.read_parquet(job / "data/processed" / f"processed_{SCORED}_{NAME}")
    published = scoreline.read(job, SCORED)["predicted_duration"]
    assert published.to_list() == pytest.approx(predicted(pipeline, trips).tolist(), abs=1e-9)


def test_routes_that_the_model_has_never_seen_are_counted(job, pipeline):
    report = run(job, simulate=True)
    trips = pl.read_parquet(job / "data/processed" / f"processed_{SCORED}_{NAME}")
    known = {name.removeprefix("PU_DO=") for name in pipeline[0].vocabulary_}
    routes = trips["PULocationID"].cast(pl.String) + "_" + trips["DOLocationID"].cast(pl.String)
    assert report.counts.unseen == {"PU_DO": (~routes.is_in(list(known))).sum()}
    assert report.counts.unseen["PU_DO"] > 0


def test_one_null_id_that_makes_the_column_float_leaves_all_other_routes_as_they_are(job, pipeline):
    simulate(job, SCORED)
    path = job / "data/input" / NAME
    trips = pl.read_parquet(path)
    ids = trips["PULocationID"].to_pandas().astype("float64")
    ids[7] = float("nan")
    trips.to_pandas().assign(PULocationID=ids).to_parquet(path)  # as pandas writes it: a column of doubles
    report = run(job)
    others = trips.filter(pl.int_range(pl.len()) != 7)
    published = scoreline.read(job, SCORED)
    assert (report.counts.scored, report.counts.reasons) == (4_999, {"PULocationID:null": 1})
    assert published["pickup_location"].to_list() == others["PULocationID"].to_list()
    assert published["predicted_duration"].to_list() == pytest.approx(predicted(pipeline, others).tolist(), abs=1e-9)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"DOLocationID": None}, "DOLocationID:null"),
        ({"PULocationID": 264}, "PULocationID:above 263"),
        ({"DOLocationID": 0}, "DOLocationID:below 1"),
        ({"trip_distance": 50.01}, "trip_distance:above 50.0"),
        ({"trip_distance": 0.09}, "trip_distance:below 0.1"),
        ({"trip_distance": float("nan")}, "trip_distance:nan"),
        ({"pickup_datetime": None}, "pickup_datetime:null"),
        ({"trip_id": None}, "trip_id:null"),
    ],
)
def test_one_bad_row_costs_that_row_alone(job, values, reason):
    spoil(job, **values)
    report = run(job)
    assert (report.counts.scored, report.counts.quarantined) == (4_999, 1)
    assert reason in report.counts.reasons
    assert "trip_20250118_160000_000007" not in scoreline.read(job, SCORED)["trip_id"].to_list()


def test_a_pickup_outside_of_the_interval_is_scored_and_counted(job):
    spoil(job, pickup_datetime=datetime(2025, 1, 18, 16))  # noqa: DTZ001 - source times are naive
    report = run(job)
    assert report.counts.scored == 5_000
    assert sum(report.counts.warnings.values()) == 1


def test_a_file_that_is_bad_throughout_is_refused_and_stays_in_the_inbox(job):
    simulate(job, SCORED)
    with pytest.raises(Refused):
        run(job, settings={"high_miles": "0.2"})
    assert (files(job, "input"), files(job, "processed")) == ([NAME], [])


def test_a_backfill_simulates_what_was_never_published(job):
    run(job, simulate=True)
    made = []
    span = "2025-01-18T12Z-2h..2025-01-18T16Z-2h"
    report = scoreline.backfill(job, span, simulate=True, simulated=made.append)
    assert [one.outcome for one in report.outcomes] == ["published", "current", "published"]
    assert [one.partition.slug for one in made] == ["2025-01-18T12Z-2h", "2025-01-18T16Z-2h"]
    assert len(files(job, "output")) == len(files(job, "processed")) == 3


SETTINGS = {
    "NUM_TRIPS_PER_BATCH": "40",
    "MIN_LOCATION_ID": "100",
    "MAX_LOCATION_ID": "200",
    "MIN_TRIP_DISTANCE": "2",
    "MAX_TRIP_DISTANCE": "3",
    "DATA_INPUT_DIR": "in",
    "DATA_OUTPUT_DIR": "out",
    "DATA_PROCESSED_DIR": "done",
}


def test_the_familiar_settings_have_their_effect(job):
    (job / ".env").write_text("".join(f"{name}={value}  # as ever\n" for name, value in SETTINGS.items()))
    run(job, simulate=True)
    (output,), (moved,) = (sorted((job / place).glob("[!.]*")) for place in ("out", "done"))
    assert (output.name, moved.name) == (OUTPUT, f"processed_{SCORED}_{NAME}")
    trips = pl.read_parquet(moved)
    assert trips.height == 40
    assert trips["PULocationID"].is_between(100, 200).all()
    assert trips["DOLocationID"].is_between(100, 200).all()
    assert trips["trip_distance"].is_between(2, 3).all()


def test_the_same_bounds_are_the_contracts(job):
    simulate(job, SCORED)
    (job / ".env").write_text("MAX_LOCATION_ID=262\nMIN_TRIP_DISTANCE=0.5\n")
    report = run(job)
    assert set(report.counts.reasons) == {
        "PULocationID:above 262",
        "DOLocationID:above 262",
        "trip_distance:below 0.5",
    }


def test_a_model_that_arrives_as_a_file_is_taken_by_its_familiar_name(job, pipeline):
    import pickle

    shutil.rmtree(job / "models")
    (job / "models").mkdir(mode=0o755)
    (job / "models/lin_reg.bin").write_bytes(pickle.dumps(tuple(step for _, step in pipeline.steps)))
    (job / "models/lin_reg.bin").chmod(0o644)
    report = run(job, simulate=True)
    trips = pl.read_parquet(job / "data/processed" / f"processed_{SCORED}_{NAME}")
    published = scoreline.read(job, SCORED)["predicted_duration"]
    assert published.to_list() == pytest.approx(predicted(pipeline, trips).tolist(), abs=1e-9)
    (job / "models/lin_reg.bin").rename(job / "models/named.bin")
    (job / ".env").write_text("MODEL_PATH=models/named.bin\n")
    assert run(job, force=True).model["digest"] == report.model["digest"]
