"""Model folders by path: what is pinned, kept and trusted."""

import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import skops.io
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.pipeline import make_pipeline
from tests.unit.models.folders import FEATURES, RUN, mlflow_2_folder, own_folder
from tests.unit.models.pickles import RECORDS, TARGET, pair, trap

from scoreline import durable
from scoreline.errors import ModelInvalid, ModelMissing, ModelUntrusted, Transient
from scoreline.models.kept import KeptModel
from scoreline.models.loading import describe_content
from scoreline.models.path_store import PathStore
from scoreline.models.trust import Trust

ROWS = pl.DataFrame(RECORDS)
UNKNOWN = "sklearn.tree._tree.Tree"


@pytest.fixture
def store(tmp_path):
    return PathStore(tmp_path, tmp_path / "home", Trust(tmp_path / "home", (tmp_path / "models",)), "trust it")


@pytest.fixture
def trusted(tmp_path):
    """A folder that the job trusts."""
    (tmp_path / "models").mkdir(mode=0o755)
    return tmp_path / "models"


def forest():
    vectorizer = DictVectorizer()
    matrix = vectorizer.fit_transform(RECORDS)
    return make_pipeline(vectorizer, RandomForestRegressor(n_estimators=2, random_state=0).fit(matrix, TARGET))


def predicted(store, uri):
    return store.fetch(store.resolve(str(uri))).load(FEATURES).predict(ROWS).values.to_list()


def kept_folders(tmp_path):
    return sorted(path.name for path in (tmp_path / "home/models").iterdir())


def test_a_folder_of_skops_needs_no_trust_and_has_its_card(store, tmp_path):
    folder = own_folder(tmp_path / "anywhere")
    kept = store.fetch(store.resolve(str(folder)))
    np.testing.assert_allclose(kept.load(FEATURES).predict(ROWS).values, TARGET)
    card = kept.card()
    assert card.target == "minutes"
    assert Path(card.golden).is_relative_to(tmp_path / "home")


def test_a_folder_without_a_run_is_called_by_its_digest(store, tmp_path):
    version = store.resolve(str(own_folder(tmp_path / "own")))
    assert version.version == version.digest[:12]


def test_a_model_of_mlflow_is_called_by_its_run(store, tmp_path):
    assert store.resolve(str(mlflow_2_folder(tmp_path / "logged"))).version == RUN


def test_a_file_uri_names_the_same_model(store, tmp_path):
    folder = own_folder(tmp_path / "own")
    assert store.resolve(folder.as_uri()).digest == store.resolve(str(folder)).digest


def test_the_same_folder_has_one_digest_wherever_it_lies(store, tmp_path):
    first, second = own_folder(tmp_path / "a"), tmp_path / "b"
    first.rename(second)
    (tmp_path / "a").symlink_to(second)
    assert store.resolve("a").digest == store.resolve("b").digest


def test_an_old_mlflow_folder_in_a_trusted_folder_predicts(store, trusted):
    mlflow_2_folder(trusted / "logged")
    np.testing.assert_allclose(predicted(store, "models/logged"), TARGET)


def test_a_pickle_in_a_folder_needs_trust_and_is_not_loaded(store, tmp_path):
    mark = tmp_path / "mark"
    folder = mlflow_2_folder(tmp_path / "logged")
    trap(folder / "model.pkl", mark)
    with pytest.raises(ModelUntrusted, match="is a pickle") as caught:
        store.fetch(store.resolve("logged"))
    assert caught.value.hint.endswith(f"trust it {folder}")
    assert not mark.exists()
    assert not (tmp_path / "home").exists()


def test_a_pickle_in_a_folder_is_trusted_by_the_folder_s_digest(store, tmp_path):
    version = store.resolve(str(mlflow_2_folder(tmp_path / "logged")))
    store.trust.add(version.digest, "models:/m@champion")
    np.testing.assert_allclose(store.fetch(version).load(FEATURES).predict(ROWS).values, TARGET)


def test_a_model_file_that_others_can_write_to_is_not_trusted_by_its_folder(store, trusted):
    folder = mlflow_2_folder(trusted / "logged")
    (folder / "model.pkl").chmod(0o666)
    with pytest.raises(ModelUntrusted, match=r"others can write to .*model\.pkl"):
        store.fetch(store.resolve("models/logged"))


def test_a_kept_copy_inside_a_trusted_folder_is_not_trusted_for_its_place(tmp_path):
    home = tmp_path / "home"
    store = PathStore(tmp_path, home, Trust(home, (tmp_path,)), "trust it")
    kept = store.keep(mlflow_2_folder(tmp_path / "logged"))
    with pytest.raises(ModelUntrusted):
        store.fetch(store.resolve(str(kept)))


def test_a_bare_skops_file_needs_no_trust(store, tmp_path):
    (tmp_path / "m.skops").write_bytes(skops.io.dumps(make_pipeline(*pair())))
    np.testing.assert_allclose(predicted(store, "m.skops"), TARGET)


def test_types_that_skops_does_not_know_are_refused_by_name(store, tmp_path):
    own_folder(tmp_path / "own", forest())
    with pytest.raises(ModelUntrusted, match=UNKNOWN) as caught:
        store.fetch(store.resolve("own"))
    assert caught.value.hint.endswith(f"trust it {tmp_path / 'own'}")


def test_a_trusted_digest_loads_types_that_skops_does_not_know(store, tmp_path):
    own_folder(tmp_path / "own", forest())
    store.trust.add(store.resolve("own").digest, "own")
    assert predicted(store, "own") == forest().predict(RECORDS).tolist()


def test_a_trusted_folder_loads_types_that_skops_does_not_know(store, trusted):
    own_folder(trusted / "own", forest())
    assert predicted(store, "models/own") == forest().predict(RECORDS).tolist()


def test_a_kept_file_refuses_by_itself_what_no_store_has_trusted(tmp_path):
    (tmp_path / "m.skops").write_bytes(skops.io.dumps(forest()))
    kept = KeptModel(str(tmp_path / "m.skops"), durable.sha256_of(tmp_path / "m.skops"))
    with pytest.raises(ModelUntrusted, match=UNKNOWN):
        pickle.loads(pickle.dumps(kept)).load(FEATURES)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 cut"])
def test_a_damaged_skops_file_is_refused(store, tmp_path, content):
    (tmp_path / "m.skops").write_bytes(content)
    with pytest.raises(ModelInvalid, match="cannot be read by skops"):
        store.fetch(store.resolve("m.skops"))


def test_only_the_loaded_files_are_kept(store, tmp_path):
    folder = own_folder(tmp_path / "own")
    (folder / "notes.txt").write_text("long")
    version = store.resolve("own")
    store.fetch(version)
    kept = tmp_path / "home/models" / version.digest
    files = {path.name for path in kept.iterdir()}
    assert {name for name in files if not name.startswith(".")} == {"golden.parquet", "model.skops", "scoreline.json"}
    assert (tmp_path / "home/models").stat().st_mode & 0o777 == 0o700


def test_what_was_pinned_is_scored_when_the_folder_is_replaced_or_gone(store, tmp_path):
    folder = own_folder(tmp_path / "own")
    version = store.resolve("own")
    before = store.fetch(version).load(FEATURES).predict(ROWS).values.to_list()
    folder.rename(tmp_path / "away")
    assert store.fetch(version).load(FEATURES).predict(ROWS).values.to_list() == before
    own_folder(folder, forest())
    assert store.fetch(version).load(FEATURES).predict(ROWS).values.to_list() == before
    assert store.resolve("own").digest != version.digest


def test_a_folder_that_is_replaced_while_it_is_pinned_is_not_used(store, tmp_path):
    folder = own_folder(tmp_path / "own")
    version = store.resolve("own")
    (folder / "scoreline.json").write_text("{}")
    with pytest.raises(Transient, match="changed while it was pinned"):
        store.fetch(version)
    assert not (tmp_path / "home/models").exists()


def test_a_folder_that_goes_before_it_is_kept_is_missing(store, tmp_path):
    version = store.resolve(str(own_folder(tmp_path / "own").rename(tmp_path / "moved")))
    (tmp_path / "moved").rename(tmp_path / "own")
    with pytest.raises(ModelMissing, match="gone"):
        store.fetch(version)


@pytest.mark.parametrize("damage", ["removed", "cut", "added to"])
def test_a_kept_folder_that_is_not_whole_is_made_anew(store, tmp_path, damage):
    version = store.resolve(str(own_folder(tmp_path / "own")))
    store.fetch(version)
    file = tmp_path / "home/models" / version.digest / "golden.parquet"
    content = file.read_bytes()
    file.unlink()
    if damage != "removed":
        file.write_bytes(content[:-1] if damage == "cut" else content + b"x")
    store.fetch(version)
    assert file.read_bytes() == content
    assert kept_folders(tmp_path) == [version.digest]


def test_a_kept_model_that_was_changed_is_not_loaded(store, tmp_path):
    kept = store.fetch(store.resolve(str(own_folder(tmp_path / "own"))))
    Path(kept.path).write_bytes(skops.io.dumps(forest()))
    with pytest.raises(ModelInvalid, match="was changed"):
        kept.load(["d", "r"])  # not yet in memory


def test_versions_that_mlflow_recorded_are_told_by_the_model(store, trusted):
    mlflow_2_folder(trusted / "logged")
    about = store.fetch(store.resolve("models/logged")).load(FEATURES).describe()
    assert about["made_with"]["scikit-learn"] == "1.2.2"


def test_a_skops_file_is_described(tmp_path):
    file = own_folder(tmp_path / "own") / "model.skops"
    about = describe_content(file.read_bytes(), file, trusted=False)
    assert about["kind"] == "DictVectorizer + LinearRegression"
