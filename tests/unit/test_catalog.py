import sys

import pytest

from scoreline import catalog
from scoreline.errors import MissingExtra, UsageError

PUBLIC = {name: value for name, value in vars(catalog).items() if name.isupper() and not name.startswith("_")}
KINDS = {name: value for name, value in PUBLIC.items() if name != "JOBS"}
ENTRIES = [(kind, name) for kind, names in KINDS.items() for name in names]


def test_there_are_kinds():
    assert {"SOURCES", "SINKS", "ENGINES", "LEDGERS", "MODEL_STORES", "OBSERVERS"} <= set(KINDS)


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_name_stands_for_a_class_in_a_module_of_that_kind(kind, name):
    found = catalog.find(KINDS[kind], name)
    assert isinstance(found, type)
    assert f"{found.__module__}:{found.__name__}" == KINDS[kind][name]


def test_an_unknown_name_is_refused_with_those_that_are_known():
    with pytest.raises(UsageError, match="'spark'") as caught:
        catalog.find({"threads": "a:b", "processes": "c:d"}, "spark")
    assert "processes, threads" in caught.value.hint


@pytest.mark.parametrize("vendor", ["sklearn", "pandas", "joblib"])
def test_a_missing_library_is_named_with_the_extra_that_brings_it(vendor, tmp_path, monkeypatch):
    (tmp_path / f"needs_{vendor}.py").write_text(f"import {vendor}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, vendor, None)  # what Python does for a library that must not be found
    with pytest.raises(MissingExtra, match=vendor) as caught:
        catalog.find({"it": f"needs_{vendor}:Adapter"}, "it")
    assert caught.value.hint == "pip install 'scoreline[sklearn]'"


def test_a_module_that_is_missing_for_another_reason_is_no_missing_extra(tmp_path, monkeypatch):
    (tmp_path / "needs_nothing_known.py").write_text("import nothing_of_that_name")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nothing_of_that_name"):
        catalog.find({"it": "needs_nothing_known:Adapter"}, "it")
