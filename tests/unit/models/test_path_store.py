import hashlib
import pickle
from pathlib import Path

import polars as pl
import pytest
from tests.unit.models.pickles import pair, trap

from scoreline.errors import ModelInvalid, ModelMissing, ModelUntrusted, Transient
from scoreline.models.path_store import PICKLES, PathStore
from scoreline.models.trust import Trust

FEATURES = ["r", "d"]
ROW = pl.DataFrame({"r": ["1_2"], "d": [1.0]})


@pytest.fixture
def model(tmp_path):
    """A model in a trusted folder."""
    folder = tmp_path / "models"
    folder.mkdir(mode=0o755)
    path = folder / "m.pkl"
    path.write_bytes(pickle.dumps(pair()))
    path.chmod(0o644)
    return path


@pytest.fixture
def store(tmp_path):
    return PathStore(tmp_path, tmp_path / "home", Trust(tmp_path / "home", (tmp_path / "models",)), "trust it")


def test_a_model_is_pinned_by_the_hash_of_its_bytes(store, model):
    version = store.resolve("models/m.pkl")
    assert version.digest == hashlib.sha256(model.read_bytes()).hexdigest()
    assert (version.version, version.size) == (version.digest[:12], model.stat().st_size)
    assert (version.uri, version.path) == ("models/m.pkl", model)


def test_an_absolute_path_and_a_home_path_are_taken_as_they_are(store, model, monkeypatch):
    monkeypatch.setenv("HOME", str(model.parent))
    assert store.resolve(str(model)).digest == store.resolve("~/m.pkl").digest


@pytest.mark.parametrize("suffix", [*sorted(PICKLES), ".BIN", ".PKL"])
def test_pickles_are_told_by_their_suffix(store, model, suffix):
    model.rename(model.with_suffix(suffix))
    assert store.resolve(f"models/m{suffix}").path.suffix == suffix


@pytest.mark.parametrize("suffix", sorted(PICKLES))
def test_a_name_without_a_suffix_means_the_file_of_that_name(store, model, suffix):
    model.rename(model.with_suffix(suffix))
    assert store.resolve("models/m").path == model.with_suffix(suffix)


def test_a_name_that_two_models_have_is_refused(store, model):
    (model.parent / "m.bin").write_bytes(model.read_bytes())
    with pytest.raises(ModelInvalid, match=r"m may mean m\.bin or m\.pkl") as caught:
        store.resolve("models/m")
    assert "m.pkl" in caught.value.hint
    assert store.resolve("models/m.bin").path.suffix == ".bin"


def test_so_is_one_of_a_folder_and_a_file(store, model):
    (model.parent / "m").mkdir()
    with pytest.raises(ModelInvalid, match=r"m may mean m or m\.pkl"):
        store.resolve("models/m")


def test_no_model_is_missing(store):
    with pytest.raises(ModelMissing, match=r"models/m\.pkl"):
        store.resolve("models/m.pkl")


def test_a_folder_without_a_model_is_refused(store, model):
    with pytest.raises(ModelInvalid, match="holds no model"):
        store.resolve("models")


@pytest.mark.parametrize("name", ["m.doc", "m.csv", "m"])
def test_an_unknown_kind_is_refused_with_those_that_are_known(store, model, name):
    model.with_name(name).write_bytes(b"x")
    with pytest.raises(ModelInvalid, match="kind") as caught:
        store.resolve(f"models/{name}")
    assert ".joblib" in caught.value.hint


def test_a_trusted_model_is_kept_in_the_home_and_loaded_from_there(store, model, tmp_path):
    version = store.resolve("models/m.pkl")
    kept = store.fetch(version)
    assert Path(kept.path).is_relative_to(tmp_path / "home")
    assert Path(kept.path).read_bytes() == model.read_bytes()
    assert kept.digest == version.digest
    assert kept.load(FEATURES).predict(ROW).values.len() == 1


def test_a_model_that_is_replaced_later_changes_nothing_for_what_was_pinned(store, model):
    version = store.resolve("models/m.pkl")
    before = store.fetch(version).load(FEATURES).predict(ROW).values
    model.write_bytes(pickle.dumps(pair(target=pair()[1].predict(pair()[0].transform([{}] * 3)) * 0 + 99)))
    assert store.fetch(version).load(FEATURES).predict(ROW).values.equals(before)
    assert store.resolve("models/m.pkl").digest != version.digest


def test_a_model_that_is_replaced_while_it_is_pinned_is_not_used(store, model, tmp_path):
    version = store.resolve("models/m.pkl")
    model.write_bytes(pickle.dumps(pair(sparse=False)))
    with pytest.raises(Transient, match="changed while it was being copied"):
        store.fetch(version)
    assert list((tmp_path / "home" / "models").rglob("*.pkl")) == []


def test_a_kept_copy_that_was_cut_short_is_made_anew(store, model):
    version = store.resolve("models/m.pkl")
    kept = Path(store.fetch(version).path)
    kept.write_bytes(kept.read_bytes()[:-1])
    assert Path(store.fetch(version).path).read_bytes() == model.read_bytes()


def test_a_kept_copy_that_was_changed_is_not_loaded(store, model, tmp_path):
    kept = store.fetch(store.resolve("models/m.pkl"))
    mark = tmp_path / "mark"
    trap(Path(kept.path), mark)
    with pytest.raises(ModelInvalid, match="was changed"):
        kept.load(["d", "r"])  # not yet in memory
    assert not mark.exists()


def test_an_untrusted_model_is_neither_copied_nor_loaded(store, tmp_path):
    mark = tmp_path / "mark"
    foreign = trap(tmp_path / "downloads" / "it's mine.pkl", mark)
    version = store.resolve(str(foreign))
    with pytest.raises(ModelUntrusted, match="loading it runs its code") as caught:
        store.fetch(version)
    assert caught.value.digest == version.digest
    assert caught.value.hint.endswith(f"""trust it '{foreign.parent}/it'"'"'s mine.pkl'""")
    assert not mark.exists()
    assert not (tmp_path / "home").exists()


def test_the_refusal_says_what_stands_against_the_trusted_folder(store, model):
    model.chmod(0o666)
    with pytest.raises(ModelUntrusted, match="others can write to"):
        store.fetch(store.resolve("models/m.pkl"))


def test_a_trusted_digest_is_fetched_from_anywhere(store, model, tmp_path):
    foreign = tmp_path / "downloads.pkl"
    model.rename(foreign)
    version = store.resolve(str(foreign))
    store.trust.add(version.digest, foreign)
    assert store.fetch(version).digest == version.digest
