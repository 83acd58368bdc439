"""In a process of its own Scoreline leaves out what scoring has no use for; in anybody else's it changes nothing."""

import json
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from scoreline import own_process
from scoreline.resources import cores

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


@pytest.mark.parametrize(("own", "given", "expected"), [(True, None, "1"), (True, "3", "3"), (False, None, None)])
def test_blas_begins_no_thread_in_a_process_of_our_own(monkeypatch, own, given, expected):
    monkeypatch.setattr(own_process, "_mine", own)
    for name in own_process.BLAS:
        monkeypatch.setenv(name, given) if given else monkeypatch.delenv(name, raising=False)
    own_process.one_blas_thread()
    assert [os.environ.get(name) for name in own_process.BLAS] == [expected] * 3
    for name in own_process.BLAS:
        monkeypatch.delenv(name, raising=False)


SHOWN = """
import sys
sys.argv = ["scoreline", "{command}", "--help"]
from scoreline.cli import main
try:
    main()
except SystemExit:
    import os, threadpoolctl, numpy
    blas = [one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"]
    print("threads", max(blas))
"""


@pytest.mark.parametrize(("command", "threads"), [("run", 1), ("train", None)])
def test_all_commands_but_the_one_that_fits_models_have_one_blas_thread(command, threads):
    env = {name: value for name, value in os.environ.items() if name not in own_process.BLAS}
    code = SHOWN.format(command=command)
    told = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == f"threads {threads or cores()}"


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
