import shutil

import pytest
from tests.unit.models.folders import RUN, mlflow_2_folder, own_folder

from scoreline.errors import ModelInvalid, ModelMissing
from scoreline.models.folder import digest_of, find_model, is_uri, local_path, read_folder


def digest(folder):
    return digest_of(read_folder(folder).hashes())


@pytest.fixture
def own(tmp_path):
    return own_folder(tmp_path / "own")


@pytest.fixture
def logged(tmp_path):
    return mlflow_2_folder(tmp_path / "logged")


def test_scoreline_s_own_folder_is_read_with_its_card_files(own):
    found = read_folder(own)
    assert (found.model, found.run_id, found.made_with) == ("model.skops", None, {})
    assert found.files == ("golden.parquet", "model.skops", "scoreline.json")
    assert found.size == sum(path.stat().st_size for path in own.iterdir())


def test_an_mlflow_folder_is_read_with_what_it_was_made_with(logged):
    found = read_folder(logged)
    assert (found.model, found.run_id) == ("model.pkl", RUN)
    assert found.files == ("MLmodel", "model.pkl", "requirements.txt")
    assert found.made_with == {"numpy": "1.23.5", "scikit-learn": "1.2.2", "scipy": "1.10.1"}


def test_the_oldest_layout_tells_its_versions_in_conda_yaml(logged):
    (logged / "requirements.txt").unlink()
    text = (logged / "MLmodel").read_text()
    (logged / "MLmodel").write_text(text.replace("    sklearn_version: 1.2.2\n", ""))
    assert read_folder(logged).made_with == {"numpy": "1.23.5", "scikit-learn": "1.2.2", "scipy": "1.10.1"}


def test_card_files_beside_an_mlmodel_belong_to_the_model(logged, own):
    for name in ("scoreline.json", "golden.parquet"):
        shutil.copy(own / name, logged)
    assert set(read_folder(logged).files) > {"scoreline.json", "golden.parquet", "MLmodel"}


@pytest.mark.parametrize("name", ["registered_model_meta", "input_example.json", "python_env.yaml", "metadata/MLmodel"])
def test_files_that_are_not_loaded_do_not_change_the_digest(logged, name):
    before = digest(logged)
    (logged / name).parent.mkdir(exist_ok=True)
    (logged / name).write_text("model_name: m\nmodel_version: '1'\n")
    assert digest(logged) == before


@pytest.mark.parametrize("name", ["model.skops", "scoreline.json", "golden.parquet"])
def test_every_loaded_file_counts_in_the_digest(own, name):
    before = digest(own)
    (own / name).write_bytes((own / name).read_bytes() + b" ")
    assert digest(own) != before


def test_the_digest_knows_names_apart_from_contents():
    assert digest_of({"a": "1", "b": "2"}) == digest_of({"b": "2", "a": "1"})
    assert digest_of({"a": "1", "b": "2"}) != digest_of({"a": "2", "b": "1"})


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelInvalid, match=r"neither MLmodel nor model\.skops nor model\.pkl"):
        read_folder(tmp_path)


def test_two_models_in_one_folder_are_refused(own):
    (own / "model.pkl").write_bytes(b"x")
    with pytest.raises(ModelInvalid, match=r"model\.skops and model\.pkl"):
        read_folder(own)


def test_other_flavors_are_refused_by_name(logged):
    text = (logged / "MLmodel").read_text()
    (logged / "MLmodel").write_text(text.replace("  sklearn:", "  mleap:").replace("  python_function:", "  jvm:"))
    with pytest.raises(ModelInvalid, match="flavors jvm, mleap, and none that can be scored with in Python"):
        read_folder(logged)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "lists no flavors"),
        ("[1, 2]", "lists no flavors"),
        ("flavors: 3", "lists no flavors"),
        ("a: [", "is damaged"),
        ("\x01", "is damaged"),
        ("flavors: {sklearn: {}}", "names no pickled_model"),
        ("flavors: {sklearn: {pickled_model: gone.pkl}}", "'gone.pkl', which is not there"),
        ("!!python/object/apply:os.system ['true']", "is damaged"),
    ],
)
def test_a_damaged_mlmodel_is_refused_in_words(logged, content, message):
    (logged / "MLmodel").write_text(content)
    with pytest.raises(ModelInvalid, match=message):
        read_folder(logged)


@pytest.mark.parametrize("name", ["../stranger.pkl", "/etc/hostname", "a/../../stranger.pkl"])
def test_a_model_file_outside_of_the_folder_is_refused(logged, name):
    (logged.parent / "stranger.pkl").write_bytes(b"x")
    text = (logged / "MLmodel").read_text()
    (logged / "MLmodel").write_text(text.replace("pickled_model: model.pkl", f"pickled_model: {name}"))
    with pytest.raises(ModelInvalid, match="outside of the folder"):
        read_folder(logged)


@pytest.mark.parametrize("name", ["model.pkl", "MLmodel", "requirements.txt"])
def test_a_link_that_leads_out_of_the_folder_is_refused(logged, name):
    elsewhere = (logged / name).rename(logged.parent / "elsewhere")
    (logged / name).symlink_to(elsewhere)
    with pytest.raises(ModelInvalid, match="outside of the model's folder"):
        read_folder(logged)


def test_a_link_within_the_folder_is_followed(logged):
    before = digest(logged)
    (logged / "model.pkl").rename(logged / "kept.pkl")
    (logged / "model.pkl").symlink_to("kept.pkl")
    assert digest(logged) == before


@pytest.mark.parametrize("run", ["'../up'", "'..'", "a/b", "3", "[1]", "'with blank'"])
def test_a_run_id_that_could_not_stand_in_a_path_is_refused(logged, run):
    (logged / "MLmodel").write_text((logged / "MLmodel").read_text().replace(RUN, run))
    with pytest.raises(ModelInvalid, match="run id"):
        read_folder(logged)


# --- an artifact store without a server ------------------------------------------------------------------------------


def test_the_old_layout_keeps_a_model_below_its_run(tmp_path):
    made = mlflow_2_folder(tmp_path / "7" / RUN / "artifacts/model")
    mlflow_2_folder(tmp_path / "7/other/artifacts/model", run="other")
    assert find_model(tmp_path / "7", RUN) == made
    assert find_model((tmp_path / "7").as_uri(), RUN) == made


def test_the_new_layout_keeps_models_apart_and_names_the_run_inside(tmp_path):
    made = mlflow_2_folder(tmp_path / "7/models/m-1/artifacts")
    mlflow_2_folder(tmp_path / "7/models/m-2/artifacts", run="other")
    (tmp_path / "7/models/m-3/artifacts").mkdir(parents=True)
    (tmp_path / "7/models/m-3/artifacts/MLmodel").write_text("a: [")
    assert find_model(tmp_path / "7", RUN) == made


def test_several_models_of_a_run_are_refused_with_their_places(tmp_path):
    for name in ("m-1", "m-2"):
        mlflow_2_folder(tmp_path / "models" / name / "artifacts")
    with pytest.raises(ModelInvalid, match=r"logged 2 models: .*m-1/artifacts, .*m-2/artifacts"):
        find_model(tmp_path, RUN)


@pytest.mark.parametrize(
    ("experiment", "run", "message"),
    [
        ("7", RUN, "no model of run"),
        ("8", RUN, "no experiment folder"),
        ("7", "a/b", "no run id"),
        (RUN, "file:///experiment", "no run id"),
        ("7", "..", "no run id"),
    ],
)
def test_what_is_not_there_is_missing(tmp_path, experiment, run, message):
    (tmp_path / "7").mkdir()
    with pytest.raises(ModelMissing, match=message):
        find_model(tmp_path / experiment, run)


@pytest.mark.parametrize("uri", ["s3://bucket/7", "gs://bucket/7", "https://host/7", "mlflow-artifacts:/7"])
def test_object_stores_are_not_read_yet(uri):
    with pytest.raises(ModelInvalid, match="yet"):
        find_model(uri, RUN)


def test_a_file_uri_of_another_host_is_refused():
    with pytest.raises(ModelInvalid, match="on the host other"):
        local_path("file://other/models")


@pytest.mark.parametrize("uri", ["file:///a%20b/m.pkl", "file://localhost/a%20b/m.pkl", "/a b/m.pkl"])
def test_a_file_uri_is_a_path(uri):
    assert str(local_path(uri)) == "/a b/m.pkl"


def test_paths_and_uris_are_told_apart():
    assert [is_uri(text) for text in ("runs:/a/b", "models:/m@x", "s3://b/k")] == [True] * 3
    assert not any(map(is_uri, ["models/m.pkl", "/models:/m", "c:/m", "a b:/m", "m@x"]))
