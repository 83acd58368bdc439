"""The same input, model and job give the same content, wherever splits are scored and however the input is cut."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.integration.place import MONTH, Place, digest_of, require_close, trips_job
from tests.oracle import nyc_green as oracle

from scoreline import category, number

COPIES = 13  # of 64,572 rows: four units, so that four workers have something to do
LAYOUTS = {"groups of 1,000": 1_000, "groups of 122,880": 122_880, "one group": COPIES * 64_572}


@pytest.fixture(scope="module")
def layouts(nyc, tmp_path_factory):
    """Layout -> folder with the same long month, the real one several times over."""
    month = pq.read_table(nyc / MONTH)
    table = pa.concat_tables([month] * COPIES)
    folders = {}
    for name, rows in LAYOUTS.items():
        folders[name] = tmp_path_factory.mktemp("layout")
        pq.write_table(table, folders[name] / MONTH, row_group_size=rows)
    return folders


@pytest.fixture(scope="module")
def digest(oracle_model, layouts, tmp_path_factory):
    """Digest of what a run of a kind of model over a layout publishes."""
    frame = [category("PULocationID"), category("DOLocationID"), number("trip_distance")]
    place = Place(tmp_path_factory.mktemp("place"))

    def digest(kind, layout, engine, workers):
        place.keep(oracle_model(kind))
        place.clear()
        features = frame if kind == "frame" else None
        job = trips_job(place, layouts[layout], features=features)
        report = place.run(job, "2021-02", engine=engine, workers=workers)
        assert report.counts.scored == COPIES * 61_921
        assert report.state == "published"
        return digest_of(place.read(job, "2021-02"))

    return digest


@pytest.fixture(scope="module")
def undisturbed(digest):
    """Digest of one thread over one row group."""
    return {kind: digest(kind, "one group", "threads", 1) for kind in ("pair", "frame")}


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_any_number_of_threads(digest, undisturbed, workers):
    assert digest("pair", "one group", "threads", workers) == undisturbed["pair"]


@pytest.mark.parametrize("workers", [2, 4])
def test_any_number_of_processes(digest, undisturbed, workers):
    assert digest("pair", "one group", "processes", workers) == undisturbed["pair"]


@pytest.mark.parametrize(
    ("layout", "engine", "workers"),
    [("groups of 1,000", "threads", 2), ("groups of 1,000", "processes", 3), ("groups of 122,880", "threads", 4)],
)
def test_any_row_groups_of_the_input(digest, undisturbed, layout, engine, workers):
    assert digest("pair", layout, engine, workers) == undisturbed["pair"]


@pytest.mark.parametrize("engine", ["threads", "local"])
def test_a_model_that_is_not_accelerated(digest, undisturbed, engine):
    assert digest("frame", "one group", engine, 2) == undisturbed["frame"]


def test_a_model_that_is_not_accelerated_over_other_row_groups(digest, undisturbed):
    assert digest("frame", "groups of 1,000", "threads", 2) == undisturbed["frame"]


def test_models_that_differ_have_digests_that_differ(undisturbed):
    assert undisturbed["pair"] != undisturbed["frame"]


def test_the_copies_of_a_month_are_scored_alike_in_every_split(nyc, oracle_model, layouts, place):
    place.keep(oracle_model("pair"))
    published = place.scored(trips_job(place, layouts["one group"]), "2021-02")["predicted_duration"]
    expected = oracle.predict(nyc / MONTH, oracle_model("pair")).predicted_duration
    rows = len(expected)
    require_close(published[:rows], expected)
    assert all(published[copy * rows : (copy + 1) * rows].equals(published[:rows]) for copy in range(COPIES))
