import inspect
import pickle

import pytest

import scoreline


def test_the_names_are_sorted():
    assert scoreline.__all__ == sorted(scoreline.__all__)


def test_there_are_few_names():
    assert len(set(scoreline.__all__)) == len(scoreline.__all__) <= 36


def test_every_lazy_name_is_exported_and_every_exported_name_is_lazy():
    assert list(scoreline._HOME) == scoreline.__all__


@pytest.mark.parametrize("name", scoreline.__all__)
def test_each_name_can_be_imported_from_its_home(name):
    found = getattr(scoreline, name)
    assert found.__name__ == name
    assert found.__module__ == f"scoreline.{scoreline._HOME[name]}"
    assert pickle.loads(pickle.dumps(found)) is found


@pytest.mark.parametrize("name", scoreline.__all__)
def test_each_name_is_documented(name):
    assert inspect.getdoc(getattr(scoreline, name))


def test_type_checkers_are_told_the_same_names():
    source = inspect.getsource(scoreline)
    block = source[source.index("if TYPE_CHECKING:") : source.index("_HOME")]
    found = [line.split(" import ")[-1] for line in block.replace("(\n", "").splitlines()[1:]]
    named = {word.strip() for line in found for word in line.split(",")} - {"", ")"}
    assert named == set(scoreline.__all__)


def test_a_star_import_brings_exactly_these_names():
    found = {}
    exec("from scoreline import *", found)  # noqa: S102 - what users may write
    assert set(found) - {"__builtins__"} == set(scoreline.__all__)


def test_dir_lists_them():
    assert dir(scoreline) == scoreline.__all__


def test_another_name_is_none():
    with pytest.raises(AttributeError, match="'scoreline' has no attribute 'nothing'"):
        _ = scoreline.nothing
