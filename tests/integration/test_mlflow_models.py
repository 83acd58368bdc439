"""Models that MLflow itself has logged, by every URI and by their folder, with its SQLite store and a real server."""

import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from tests.integration.mlflow_places import NAME, in_home, server
from tests.unit.models.folders import mlflow_2_folder

from scoreline.errors import ModelInvalid, ModelMissing, ModelUnreachable, ModelUntrusted
from scoreline.models import mlflow_store
from scoreline.models.folder import find_model
from scoreline.models.located import Located
from scoreline.models.mlflow_store import MlflowStore
from scoreline.models.path_store import PathStore
from scoreline.models.trust import Trust
from scoreline.stores.mlflow import database

FEATURES = ["r", "d"]
RECORDS = [{"r": "1_2", "d": 1.0}, {"r": "3_4", "d": 2.0}, {"r": "5_6", "d": 3.5}]
ROWS = pl.DataFrame(RECORDS)
FIRST, SECOND = np.array([5.0, 9.0, 12.0]), np.array([50.0, 90.0, 120.0])
FIRST_VERSION, SECOND_VERSION = "1", "2"
CLIENT_SETTINGS = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")


def pipeline(target):
    return make_pipeline(DictVectorizer(), LinearRegression()).fit(RECORDS, target)


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    """What a test sets, and what Scoreline sets as defaults, is gone after it."""
    before = dict(os.environ)
    for name in CLIENT_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("default") / "home"


@pytest.fixture(scope="module")
def local(home):
    """The default store with two versions: the first by skops, the second by cloudpickle."""
    tracking = in_home(home)
    tracking.first = tracking.log(pipeline(FIRST))
    tracking.second = tracking.log(pipeline(SECOND), "cloudpickle")
    tracking.stage("Production", SECOND_VERSION)
    return tracking


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    """A real server with the same two versions."""
    from tests.integration.mlflow_places import Tracking

    folder = tmp_path_factory.mktemp("remote") / "server"
    with server(folder) as address:
        tracking = Tracking(address)
        tracking.folder = folder
        tracking.first = tracking.log(pipeline(FIRST))
        tracking.second = tracking.log(pipeline(SECOND), "cloudpickle")
        tracking.stage("Production", SECOND_VERSION)
        yield tracking


def store_in(home, *trusted):
    paths = PathStore(home.parent, home, Trust(home, trusted), "trust it")
    return MlflowStore(home, paths)


@pytest.fixture
def store(home, local):
    local.alias("champion", FIRST_VERSION)
    return store_in(home)


@pytest.fixture
def served(tmp_path, remote, monkeypatch):
    """A store whose models lie on the server."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", remote.uri)
    remote.alias("champion", FIRST_VERSION)
    return store_in(tmp_path / "home")


def predicted(store, version):
    return store.fetch(version).load(FEATURES).predict(ROWS).values.to_numpy()


def names_of(tracking):
    """All ways to name the first version."""
    run_id, model_id = tracking.first.run_id, tracking.first.model_id
    return [f"runs:/{run_id}/model", f"models:/{NAME}@champion", f"models:/{NAME}/1", f"models:/{model_id}"]


# --- the default store ----------------------------------------------------------------------------------------------


def test_every_uri_and_the_folder_itself_name_one_digest(store, local):
    folder = Path(local.client.get_logged_model(local.first.model_id).artifact_location.removeprefix("file://"))
    versions = [store.resolve(uri) for uri in names_of(local)] + [store.paths.resolve(str(folder))]
    assert len({version.digest for version in versions}) == 1
    assert {version.version for version in versions} == {local.first.run_id}


def test_a_skops_model_that_mlflow_logged_predicts_without_trust(store, local):
    np.testing.assert_allclose(predicted(store, store.resolve(f"models:/{NAME}@champion")), FIRST)


def test_a_cloudpickle_that_mlflow_logged_needs_trust_by_its_digest(home, local, tmp_path):
    store = store_in(home)
    version = store.resolve(f"models:/{NAME}/Production")
    assert version.version == local.second.run_id
    with pytest.raises(ModelUntrusted, match="is a pickle"):
        store.fetch(version)
    trusting = MlflowStore(home, PathStore(home.parent, tmp_path / "home", Trust(tmp_path / "home"), "trust it"))
    trusting.paths.trust.add(version.digest, version.uri)
    np.testing.assert_allclose(predicted(trusting, version), SECOND)


def test_a_cloudpickle_in_a_folder_that_the_job_trusts_predicts(home, local):
    store = store_in(home, home / "mlflow/artifacts")
    np.testing.assert_allclose(predicted(store, store.resolve(f"models:/{NAME}/2")), SECOND)


def test_latest_is_the_newest_version(store, local):
    assert store.resolve(f"models:/{NAME}/latest").version == local.second.run_id


def test_an_alias_that_moves_changes_nothing_for_what_was_pinned(store, local):
    pinned = store.resolve(f"models:/{NAME}@champion")
    local.alias("champion", SECOND_VERSION)
    np.testing.assert_allclose(predicted(store, pinned), FIRST)
    assert store.resolve(f"models:/{NAME}@champion").digest != pinned.digest


def test_a_forest_of_mlflow_is_refused_by_its_types_until_it_is_trusted(tmp_path):
    home = tmp_path / "home"
    tracking = in_home(home)
    forest = make_pipeline(DictVectorizer(), RandomForestRegressor(n_estimators=2, random_state=0)).fit(RECORDS, FIRST)
    tracking.log(forest, skops_trusted_types=["sklearn.tree._tree.Tree"])
    store = store_in(home)
    version = store.resolve(f"models:/{NAME}/1")
    with pytest.raises(ModelUntrusted, match=r"sklearn\.tree\._tree\.Tree"):
        store.fetch(version)
    store.paths.trust.add(version.digest, version.uri)
    np.testing.assert_allclose(predicted(store, version), forest.predict(RECORDS))


def test_a_run_in_the_old_layout_is_found_below_its_artifacts(tmp_path):
    home = tmp_path / "home"
    tracking = in_home(home)
    run_id = tracking.run_in_old_layout(mlflow_2_folder(tmp_path / "logged"))
    store = store_in(home, home)
    version = store.resolve(f"runs:/{run_id}/model")
    assert version.version == run_id
    np.testing.assert_allclose(predicted(store, version), FIRST)
    assert find_model(home / "mlflow/artifacts", run_id) == version.path
    with pytest.raises(ModelMissing, match="has no model 'other'") as caught:
        store.resolve(f"runs:/{run_id}/other")
    assert caught.value.hint == f"it has runs:/{run_id}/model"


def test_a_run_is_found_in_the_artifact_store_without_a_server(store, local, home):
    found = find_model((home / "mlflow/artifacts").as_uri(), local.first.run_id)
    assert store.paths.resolve(str(found)).digest == store.resolve(names_of(local)[0]).digest


@pytest.mark.parametrize(
    ("uri", "message", "hint"),
    [
        (f"models:/{NAME}@nobody", "no alias 'nobody' of the model 'rides'", "models:/rides@champion, models:/rides/2"),
        (f"models:/{NAME}/17", "no version 17 of the model 'rides'", "models:/rides@champion, models:/rides/2"),
        (f"models:/{NAME}/Staging", "in stage 'Staging'", "models:/rides@champion"),
        (f"models:/{NAME}/NoStage", "in stage 'NoStage'", "models:/rides@champion"),
        ("models:/nothing@champion", "of the model 'nothing'", "registered models: rides"),
        ("models:/it's@champion", 'of the model "it\'s"', "registered models: rides"),
        ("models:/nothing/1", "of the model 'nothing'", "registered models: rides"),
        ("models:/nothing/latest", "of the model 'nothing'", "registered models: rides"),
        ("models:/m-0123456789", "no model m-0123456789", "MLFLOW_TRACKING_URI"),
        (f"runs:/{'0' * 32}/model", f"no run {'0' * 32}", "MLFLOW_TRACKING_URI"),
    ],
)
def test_what_mlflow_does_not_know_is_missing_and_what_it_knows_is_told(store, uri, message, hint):
    with pytest.raises(ModelMissing) as caught:
        store.resolve(uri)
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("path", ["", "/", "/other"])
def test_a_run_without_that_model_says_which_it_has(store, local, path):
    with pytest.raises(ModelMissing, match="has no model") as caught:
        store.resolve(f"runs:/{local.first.run_id}{path}")
    assert caught.value.hint == f"it has runs:/{local.first.run_id}/model"


@pytest.mark.parametrize(
    "uri", [f"models:/{NAME}", f"models://{NAME}/1", "models:/", "runs:/", "models:/a/b/c", "runs:/1/../m"]
)
def test_a_uri_that_names_no_version_is_refused_with_the_forms(store, uri):
    with pytest.raises(ModelInvalid) as caught:
        store.resolve(uri)
    assert "models:/" in caught.value.hint


def test_artifacts_that_were_removed_are_missing_and_their_place_is_told(tmp_path):
    home = tmp_path / "home"
    tracking = in_home(home)
    made = tracking.log(pipeline(FIRST))
    place = home / "mlflow/artifacts/models" / made.model_id
    place.rename(tmp_path / "away")
    with pytest.raises(ModelMissing, match=f"{place}/artifacts, which is not there"):
        store_in(home).resolve(f"models:/{NAME}/1")


def test_no_store_is_made_by_looking_for_a_model(tmp_path, monkeypatch):
    store = store_in(tmp_path / "home")
    with pytest.raises(ModelMissing, match="no MLflow store") as caught:
        store.resolve("models:/m@champion")
    assert "scoreline train" in caught.value.hint
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/nowhere/mlflow.db")
    with pytest.raises(ModelMissing, match=f"{tmp_path}/nowhere"):
        store.resolve("models:/m@champion")
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_none_is_told_in_words(tmp_path, monkeypatch):
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 500)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(ModelMissing, match="file is not a database"):
        store_in(tmp_path / "home").resolve("models:/m@champion")


def test_nothing_is_printed(store, local, capfd):
    store.fetch(store.resolve(f"models:/{NAME}@champion"))
    for uri in ("models:/nothing@x", f"models:/{NAME}/NoStage"):
        with pytest.raises(ModelMissing):
            store.resolve(uri)
    assert capfd.readouterr() == ("", "")


def long_ago(*files):
    """As if they had last been written an hour ago."""
    for file in files:
        os.utime(file, (file.stat().st_atime, file.stat().st_mtime - 3600))


@pytest.fixture
def without_mlflow(monkeypatch):
    """From when it is called on, whoever asks MLflow fails."""

    def forbid(tracking, registry):
        raise AssertionError("MLflow was asked")

    return lambda: monkeypatch.setattr(mlflow_store, "_client", forbid)


@pytest.mark.parametrize("which", range(4))
def test_a_database_that_has_not_changed_is_not_asked_again(store, local, home, which, without_mlflow):
    long_ago(database(home))
    before = store.resolve(names_of(local)[which])
    without_mlflow()
    assert store_in(home).resolve(names_of(local)[which]) == before


def test_a_database_that_was_written_to_is_asked_again(store, local, home):
    long_ago(database(home))
    first = store.resolve(f"models:/{NAME}@champion")
    local.alias("champion", SECOND_VERSION)
    assert store_in(home).resolve(f"models:/{NAME}@champion").digest != first.digest


def test_what_a_database_says_is_not_kept_while_it_may_still_change_within_one_tick(store, local, home):
    database(home).touch()
    store.resolve(f"models:/{NAME}@champion")
    uri = f"sqlite:///{database(home)}"
    assert Located(home, uri, uri).location(f"models:/{NAME}@champion") is None


def test_a_folder_that_has_gone_since_is_told_by_mlflow(tmp_path):
    home = tmp_path / "home"
    made = in_home(home).log(pipeline(FIRST))
    long_ago(database(home))
    store_in(home).resolve(f"models:/{NAME}/1")
    (home / "mlflow/artifacts/models" / made.model_id).rename(tmp_path / "away")
    with pytest.raises(ModelMissing, match="which is not there"):
        store_in(home).resolve(f"models:/{NAME}/1")


# --- a server -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("which", [1, 2, 3])
def test_a_server_is_asked_without_mlflow_and_its_model_downloaded_once(
    served, remote, tmp_path, which, without_mlflow
):
    before = served.resolve(names_of(remote)[which])
    np.testing.assert_allclose(predicted(served, before), FIRST)  # which leaves marks beside the kept model
    without_mlflow()
    assert store_in(tmp_path / "home").resolve(names_of(remote)[which]) == before


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_model_that_was_changed_on_the_server_is_downloaded_again(served, remote, tmp_path):
    first = served.resolve(f"models:/{NAME}/1")
    (description,) = Path(remote.folder).rglob(f"{remote.first.model_id}/artifacts/MLmodel")
    told = description.read_text()
    try:
        description.write_text(told.replace("utc_time_created: '2", "utc_time_created: '3"))
        assert store_in(tmp_path / "home").resolve(f"models:/{NAME}/1").digest != first.digest
    finally:
        description.write_text(told)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_kept_download_that_was_changed_is_downloaded_again(served, remote, tmp_path):
    first = served.resolve(f"models:/{NAME}/1")
    with next(first.path.rglob("*.skops")).open("r+b") as file:
        file.seek(100)
        file.write(b"flipped")
    for store in (served, store_in(tmp_path / "home")):
        assert store.resolve(f"models:/{NAME}/1").digest == first.digest


def test_no_password_of_a_server_is_written_down(tmp_path):
    uri = "http://somebody:secret@127.0.0.1:9"
    Located(tmp_path, uri, uri).keep(f"mlflow-artifacts:/1/models/m-{'0' * 32}/artifacts", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_who_has_to_say_who_he_is_asks_by_mlflow(served, remote, tmp_path, monkeypatch):
    located = Located(tmp_path / "home", remote.uri, remote.uri)
    assert located.location(f"models:/{NAME}@champion").endswith(f"{remote.first.model_id}/artifacts")
    assert located.location(f"models:/{NAME}@nobody") is None
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    assert located.location(f"models:/{NAME}@champion") is None


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_server_hands_out_one_model_by_every_uri(served, remote, tmp_path):
    versions = [served.resolve(uri) for uri in names_of(remote)]
    assert len({version.digest for version in versions}) == 1
    assert {version.version for version in versions} == {remote.first.run_id}
    np.testing.assert_allclose(predicted(served, versions[0]), FIRST)
    assert [path.name for path in (tmp_path / "home/models").iterdir()] == [versions[0].digest]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_downloaded_model_has_the_digest_of_its_folder(served, remote, tmp_path):
    from mlflow.artifacts import download_artifacts

    uri = f"models:/{NAME}/1"
    folder = download_artifacts(artifact_uri=uri, dst_path=str(tmp_path / "by hand"), tracking_uri=remote.uri)
    assert (Path(folder) / "registered_model_meta").exists()  # which MLflow adds
    assert served.paths.resolve(folder).digest == served.resolve(uri).digest


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_downloaded_pickle_is_not_trusted_for_lying_in_a_trusted_folder(remote, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", remote.uri)
    store = store_in(tmp_path / "home", tmp_path)
    version = store.resolve(f"models:/{NAME}/Production")
    with pytest.raises(ModelUntrusted):
        store.fetch(version)
    store.paths.trust.add(version.digest, version.uri)
    np.testing.assert_allclose(predicted(store, version), SECOND)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_alias_that_moves_on_the_server_changes_nothing_for_what_was_pinned(served, remote):
    pinned = served.resolve(f"models:/{NAME}@champion")
    remote.alias("champion", SECOND_VERSION)
    np.testing.assert_allclose(predicted(served, pinned), FIRST)
    assert served.resolve(f"models:/{NAME}@champion").version == remote.second.run_id


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_server_tells_what_it_has_instead(served, remote):
    for uri in (f"models:/{NAME}@nobody", f"models:/{NAME}/17", f"models:/{NAME}/Staging"):
        with pytest.raises(ModelMissing) as caught:
            served.resolve(uri)
        assert f"models:/{NAME}@champion" in caught.value.hint
    with pytest.raises(ModelMissing, match="no run"):
        served.resolve(f"runs:/{'0' * 32}/model")
    with pytest.raises(ModelMissing, match="has no model 'other'"):
        served.resolve(f"runs:/{remote.first.run_id}/other")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_in_the_old_layout_is_downloaded_from_the_server(remote, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", remote.uri)
    folder = mlflow_2_folder(tmp_path / "logged")
    run_id = remote.run_in_old_layout(folder)
    store = store_in(tmp_path / "home")
    version = store.resolve(f"runs:/{run_id}/model")
    assert (version.version, version.digest) == (run_id, store.paths.resolve(str(folder)).digest)
    store.paths.trust.add(version.digest, version.uri)
    np.testing.assert_allclose(predicted(store, version), FIRST)


# --- servers that do not help -----------------------------------------------------------------------------------------


@pytest.fixture
def answering():
    """Starts servers that answer every request with one status."""
    running = []

    def start(status):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b"<html>no MLflow</html>")

            def log_message(self, *_):
                pass

        made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=made.serve_forever, daemon=True).start()
        running.append(made)
        return f"127.0.0.1:{made.server_port}"

    yield start
    for made in running:
        made.shutdown()
        made.server_close()


@pytest.fixture
def quick(monkeypatch):
    """Fewer retries than a user has, as a user may set them."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")


URIS = ("models:/m@champion", f"runs:/{'0' * 32}/model", "models:/m/latest")


@pytest.mark.parametrize("uri", URIS)
def test_a_server_that_is_not_there_is_unreachable_and_no_password_is_told(tmp_path, monkeypatch, capfd, uri):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and nobody listens
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{nobody.getsockname()[1]}")
        with pytest.raises(ModelUnreachable, match="does not answer") as caught:
            store_in(tmp_path / "home").resolve(uri)
    assert caught.value.exit_code == 75
    assert "secret" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_server_in_trouble_is_unreachable(tmp_path, monkeypatch, quick, answering, status):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{answering(status)}")
    with pytest.raises(ModelUnreachable, match="does not answer"):
        store_in(tmp_path / "home").resolve(URIS[0])


@pytest.mark.parametrize(("status", "hint"), [(401, "MLFLOW_TRACKING_TOKEN"), (403, "MLFLOW_TRACKING_TOKEN")])
def test_a_server_that_wants_a_password_says_so(tmp_path, monkeypatch, quick, answering, status, hint):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{answering(status)}")
    with pytest.raises(ModelMissing, match="refuses") as caught:
        store_in(tmp_path / "home").resolve(URIS[0])
    assert hint in caught.value.hint


@pytest.mark.parametrize("status", [200, 404])
def test_a_server_that_is_no_mlflow_is_told_in_words(tmp_path, monkeypatch, quick, answering, status):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{answering(status)}")
    with pytest.raises(ModelMissing, match="cannot tell what") as caught:
        store_in(tmp_path / "home").resolve(URIS[0])
    assert "name an MLflow server" in caught.value.hint


def test_a_server_that_never_answers_ends_in_time(tmp_path, monkeypatch, quick):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ModelUnreachable):
            store_in(tmp_path / "home").resolve(URIS[0])
