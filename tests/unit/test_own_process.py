"""In a process of its own Scoreline leaves out what scoring has no use for; in anybody else's it changes nothing."""

import json
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from scoreline import own_process

ROWS = np.random.default_rng(3).normal(size=(200, 3))
READ = """
import json, sys
import polars as pl
from scoreline import own_process
from scoreline.models.{library} import read
if {claimed}: own_process.claim()
model = read(open(sys.argv[1], "rb").read(), sys.argv[1]).adapt(("a", "b", "c"), {{}}, None, "value")
found = model.predict(pl.read_parquet(sys.argv[2])).values.to_list()
print(json.dumps([found, "sklearn" in sys.modules]))
import sklearn
"""


@pytest.fixture
def claimed(monkeypatch):
    monkeypatch.setattr(own_process, "_mine", True)


def test_a_package_is_not_found_within_and_found_again_after(claimed, monkeypatch):
    monkeypatch.delitem(sys.modules, "this", raising=False)
    with own_process.without("this"), pytest.raises(ImportError):
        import this  # noqa: F401
    assert "this" not in sys.modules


def test_what_is_imported_already_stays(claimed):
    with own_process.without("json"):
        import json as again
    assert again is json
    assert sys.modules["json"] is json


def test_nothing_is_left_out_of_somebody_else_s_process():
    with own_process.without("this"):
        assert "this" not in sys.modules


def test_who_has_settled_the_allocator_already_is_heard(monkeypatch):
    monkeypatch.setattr(own_process, "_mine", False)
    monkeypatch.setenv("_RJEM_MALLOC_CONF", "narenas:2")
    own_process.claim()
    assert os.environ["_RJEM_MALLOC_CONF"] == "narenas:2"


@pytest.mark.slow
@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_predictions_are_the_same_without_scikit_learn(library, tmp_path):
    target = ROWS[:, 0] * 3 + ROWS[:, 1]
    frame = pl.DataFrame(ROWS, schema=["a", "b", "c"])
    frame.write_parquet(tmp_path / "rows.parquet")
    if library == "xgboost":
        import xgboost

        path = tmp_path / "model.ubj"
        xgboost.XGBRegressor(n_estimators=5, max_depth=3).fit(frame.to_pandas(), target).save_model(path)
    else:
        import lightgbm

        path = tmp_path / "model.txt"
        made = lightgbm.LGBMRegressor(n_estimators=5, verbose=-1).fit(frame.to_pandas(), target)
        made.booster_.save_model(path)

    def said(*, claimed):
        words = [sys.executable, "-c", READ.format(library=library, claimed=claimed), path, tmp_path / "rows.parquet"]
        return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)

    (with_it, there), (without_it, gone) = said(claimed=False), said(claimed=True)
    assert (there, gone) == (True, False)
    assert without_it == with_it
