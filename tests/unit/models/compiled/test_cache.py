"""Compiled forms on disk: what makes one anew, and that nothing but speed depends on them."""

import logging
import pickle
import shutil
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression

from scoreline import durable
from scoreline.abc import Compiled, Parity
from scoreline.models.compiled import cache
from scoreline.models.compiled.cache import FormCache
from scoreline.models.kept import KeptModel
from scoreline.preflight import Evidence, Vetted

FEATURES = ("r", "d")
ROWS = pl.DataFrame({"r": ["a", "b", "never"], "d": [1.0, 2.0, 3.0]})
NOW = datetime(2026, 2, 3, tzinfo=UTC)
SHOWN = {"types": Parity(True, 9, 0.0, "same predictions", "2026-01-02T03:04:05+00:00")}


@pytest.fixture
def model(tmp_path):
    """A kept model of this home, and a form of it that was kept."""
    records = [{"r": "ab"[n % 2], "d": float(n)} for n in range(9)]
    vectorizer = DictVectorizer()
    estimator = LinearRegression().fit(vectorizer.fit_transform(records), range(9))
    file = tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps((vectorizer, estimator)))
    forms = tmp_path / "home" / "compiled" / "digest"
    kept = KeptModel(str(file), durable.sha256_of(file), trusted=True, forms=str(forms))
    original = kept.load(FEATURES)
    kept.keep(FEATURES, Compiled(original.accelerated(), original.describe(), ("a note",), SHOWN))
    return kept


def file_of(model):
    (path,) = Path(model.forms).glob("*.form")
    return path


def test_a_kept_form_comes_back_with_what_was_shown_of_it(model):
    found = model.compiled(FEATURES)
    assert (found.shown, found.notes) == (SHOWN, ("a note",))
    assert found.about == model.load(FEATURES).describe()
    assert found.form.predict(ROWS).values.equals(model.load(FEATURES).accelerated().predict(ROWS).values)


def test_a_form_is_of_the_features_in_their_order_and_of_what_is_asked(model):
    assert model.compiled(FEATURES[::-1]) is None
    assert model.compiled(FEATURES, "probability") is None


@pytest.mark.parametrize("package", ["scoreline", "polars", "numpy", "scikit-learn", "numba"])
def test_another_version_of_anything_that_matters_means_a_new_form(model, monkeypatch, package):
    right = cache.version_of
    monkeypatch.setattr(cache, "version_of", lambda name: "0.0.1" if name == package else right(name))
    assert model.compiled(FEATURES) is None
    (kept,) = FormCache(file_of(model).parent).kept()
    assert not kept.current
    original = model.load(FEATURES)
    model.keep(FEATURES, Compiled(original.accelerated(), original.describe()))
    assert model.compiled(FEATURES) is not None
    assert {one.current for one in FormCache(kept.path.parent).kept()} == {True, False}
    assert kept.about["versions"][package] == right(package)


@pytest.mark.parametrize(
    "harm",
    [lambda b: b[:100], lambda _: b"", lambda b: b[:-1] + bytes([b[-1] ^ 1])],
    ids=["cut short", "empty", "a changed bit"],
)
def test_a_damaged_form_is_told_and_is_none(model, caplog, harm):
    path = file_of(model)
    path.write_bytes(harm(path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert model.compiled(FEATURES) is None
    assert "is damaged (the bytes were changed), and is made anew" in caplog.text
    (kept,) = FormCache(path.parent).kept()
    assert kept.about == {}


def test_a_form_says_what_it_is_without_being_made(model, monkeypatch):
    monkeypatch.setattr("scoreline.models.compiled.additive.Additive.of", None)
    (kept,) = FormCache(file_of(model).parent).kept()
    assert kept.current
    assert kept.size == kept.path.stat().st_size
    told = kept.about
    assert (told["form"], told["features"], told["predict"]) == ("additive look-up", ["r", "d"], "value")
    assert told["shown"]["types"]["at"] == "2026-01-02T03:04:05+00:00"


def test_a_home_that_cannot_be_written_is_told_and_stops_nothing(model, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    original = model.load(FEATURES)
    with caplog.at_level(logging.WARNING):
        FormCache(tmp_path / "file" / "below").write(FEATURES, Compiled(original, {}), original.accelerated())
    assert "cannot be kept" in caplog.text


def test_what_is_cleaned_up_under_a_run_is_made_anew(model):
    before = model.compiled(FEATURES).form.predict(ROWS).values
    shutil.rmtree(file_of(model).parent)
    assert model.compiled(FEATURES) is None
    original = model.load(FEATURES)
    assert original.accelerated().predict(ROWS).values.equals(before)
    model.keep(FEATURES, Compiled(original.accelerated(), original.describe()))
    assert model.compiled(FEATURES).form.predict(ROWS).values.equals(before)


def test_a_form_that_has_disagreed_once_is_not_used_again(model):
    vetted = Vetted(model, FEATURES, {}, ())
    vetted.keep(Evidence(9, Parity(False, 9, 1.0, "9 of 9 rows differ")), "other types", NOW)
    assert model.compiled(FEATURES) is None
    vetted.keep(Evidence(9, Parity(True, 9, 0.0, "same predictions")), "types", NOW)
    assert model.compiled(FEATURES).shown["types"].at == "2026-02-03T00:00:00+00:00"
