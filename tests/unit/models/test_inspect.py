import io
import pickle

import joblib
import numpy as np
import pytest
from tests.unit.models.pickles import pair, trap

from scoreline.models.inspect import pickled_names

HIDING = {
    "GLOBAL": b"cos\nsystem\n(S'true'\ntR.",
    "INST": b"(S'true'\nios\nsystem\n.",
    "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
    "STACK_GLOBAL of byte strings": b"\x80\x04U\x02osU\x06system\x93U\x04true\x85R.",
}
TAKING_BACK = {
    "STACK_GLOBAL from the memo": b"\x80\x04\x8c\x02os\x940\x8c\x06system\x940h\x00h\x01\x93\x8c\x04true\x85R.",
    "STACK_GLOBAL from numbered places": b"\x80\x04\x8c\x02osq\x070\x8c\x06systemq\x080h\x07h\x08\x93.",
    "decoys pushed and dropped": b"\x80\x04\x8c\x02os\x8c\x06system\x8c\x04json\x8c\x05loads00\x93\x8c\x04true\x85R.",
}


@pytest.mark.parametrize("content", HIDING.values(), ids=HIDING)
def test_whatever_the_way_a_name_is_found(tmp_path, content):
    (tmp_path / "m.pkl").write_bytes(content)
    assert pickled_names(tmp_path / "m.pkl") == (["os.system"], True)


@pytest.mark.parametrize("content", TAKING_BACK.values(), ids=TAKING_BACK)
def test_a_pickle_that_takes_things_back_is_not_said_to_be_whole(tmp_path, content):
    (tmp_path / "m.pkl").write_bytes(content)
    assert pickled_names(tmp_path / "m.pkl")[1] is False


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_trap_is_seen_and_not_sprung(tmp_path, protocol):
    mark = tmp_path / "mark"
    names, whole = pickled_names(trap(tmp_path / "m.pkl", mark, protocol))
    assert whole
    assert any(name.endswith(("Path.touch", "getattr")) for name in names)
    assert not mark.exists()


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_model_shows_its_classes(tmp_path, protocol):
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(pair(), protocol))
    names, whole = pickled_names(tmp_path / "m.pkl")
    assert whole
    assert "sklearn.feature_extraction._dict_vectorizer.DictVectorizer" in names
    assert "sklearn.linear_model._base.LinearRegression" in names
    assert not any(name.startswith(("os.", "posix.", "builtins.eval")) for name in names)


@pytest.mark.parametrize(
    "content", [b"", b"no pickle at all", b"\x80\x04\x95", pickle.dumps(list(range(1000)))[:-7], bytes(range(256))]
)
def test_what_is_no_whole_pickle_is_said_to_be_none(tmp_path, content):
    (tmp_path / "m.pkl").write_bytes(content + b"\xff")
    assert pickled_names(tmp_path / "m.pkl")[1] is False


def test_a_compressed_joblib_file_is_said_not_to_be_readable(tmp_path):
    joblib.dump({"a": np.arange(1_000)}, tmp_path / "m.joblib", compress=3)
    assert pickled_names(tmp_path / "m.joblib") == ([], False)


def test_names_before_the_place_that_cannot_be_read_are_shown(tmp_path):
    joblib.dump({"a": np.arange(1_000)}, tmp_path / "m.joblib")
    names, _ = pickled_names(tmp_path / "m.joblib")
    assert "joblib.numpy_pickle.NumpyArrayWrapper" in names


def test_names_are_sorted_and_named_once(tmp_path):
    buffer = io.BytesIO()
    pickle.Pickler(buffer).dump([np.float64(1), np.float64(2), np.arange(2)])
    (tmp_path / "m.pkl").write_bytes(buffer.getvalue())
    names, _ = pickled_names(tmp_path / "m.pkl")
    assert names == sorted(set(names))
