import json
import platform
import sys
from dataclasses import replace
from importlib.metadata import version

import pytest
from sklearn.preprocessing import FunctionTransformer

from scoreline.card import CARD, GOLDEN, Card, differing, params_of, read_card, running_versions, versions_used
from scoreline.errors import ModelInvalid

TRAINED = Card(
    job="nyc_green[taxi_type=green]",
    features=({"name": "PU_DO", "kind": "cross", "columns": ["PU", "DO"]}, {"name": "trip_distance", "kind": "number"}),
    target="duration",
    made_with={"python": "3.11.7", "scikit-learn": "1.8.0"},
    trained_on={"partitions": ["2021-01"], "rows": 76_518, "digest": "rowsum-v1:ab"},
    params={"fit_intercept": "True"},
    metrics={"rmse": 5.25, "bias": -0.1},
)


def test_a_card_is_read_as_it_was_written(tmp_path):
    TRAINED.write(tmp_path)
    assert read_card(tmp_path) == TRAINED


def test_text_of_any_language_survives(tmp_path):
    card = replace(TRAINED, target="durée\n时间", params={"": "\\ \" '"})
    card.write(tmp_path)
    assert read_card(tmp_path) == card


def test_metrics_survive_to_the_last_digit(tmp_path):
    card = replace(TRAINED, metrics={"rmse": 0.1 + 0.2, "tiny": 5e-324})
    card.write(tmp_path)
    assert read_card(tmp_path).metrics == card.metrics


def test_the_same_card_is_the_same_bytes(tmp_path):
    texts = []
    for made_with in (TRAINED.made_with, dict(reversed(TRAINED.made_with.items()))):
        replace(TRAINED, made_with=made_with).write(tmp_path)
        texts.append((tmp_path / CARD).read_bytes())
    assert texts[0] == texts[1]


def test_golden_rows_are_found_where_the_card_lies(tmp_path):
    replace(TRAINED, golden="/elsewhere/golden.parquet").write(tmp_path)
    assert read_card(tmp_path).golden is None
    (tmp_path / GOLDEN).write_bytes(b"rows")
    assert read_card(tmp_path).golden == str(tmp_path / GOLDEN)


def test_a_bare_model_has_no_card(tmp_path):
    assert read_card(tmp_path) is None
    assert read_card(tmp_path / "nowhere") is None


def test_a_card_of_a_newer_kind_asks_for_an_upgrade(tmp_path):
    TRAINED.write(tmp_path)
    form = json.loads((tmp_path / CARD).read_text()) | {"version": 2, "new": 1}
    (tmp_path / CARD).write_text(json.dumps(form))
    with pytest.raises(ModelInvalid, match="version 2") as caught:
        read_card(tmp_path)
    assert "upgrade" in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"5",
        b'"text"',
        b"{}",
        b'{"version": 1}',
        b'{"version": 1, "features": 5}',
        b'{"version": 1, "features": [], "job": "j", "target": "t", "made_with": {}, "unknown": 1}',
        b'{"version": 1, "features": [], "job": "j", "target": "t"}',
        b'{"version": 1, "features": "ab", "job": "j", "target": "t", "made_with": {}}',
        b'{"version": 1, "features": [1], "job": "j", "target": "t", "made_with": {}}',
        b'{"version": 1, "features": [], "job": "j", "target": "t", "made_with": null}',
        b'{"version": 1, "features": [], "job": "j", "target": "t", "made_with": {}, "metrics": [1]}',
        b'{"version": 1, "features": [], "job": 5, "target": "t", "made_with": {}}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
    ids=lambda content: content[-60:].decode("ascii", "replace"),
)
def test_a_damaged_card_is_an_error_that_says_what_to_do(tmp_path, content):
    (tmp_path / CARD).write_bytes(content)
    with pytest.raises(ModelInvalid, match="is damaged") as caught:
        read_card(tmp_path)
    assert str(tmp_path / CARD) in caught.value.message
    assert caught.value.hint == "train the model again"


def test_versions_are_those_of_what_is_installed():
    found = running_versions(("numpy", "no-such-package-of-anyone"))
    assert found == {"numpy": version("numpy")}


def test_nothing_differs_where_nothing_changed():
    assert differing(running_versions()) == {}
    assert differing({}) == {}


def test_what_changed_and_what_is_gone_differ():
    made_with = {"numpy": "0.1", "lightgbm-of-nobody": "1", "onnxruntime": "0.0"}
    found = differing(made_with)
    assert found["numpy"] == ("0.1", version("numpy"))
    assert found["onnxruntime"] == ("0.0", running_versions(("onnxruntime",)).get("onnxruntime", "none"))


def test_versions_that_change_no_prediction_do_not_matter():
    assert differing({"python": "3.0", "click": "0.1"}) == {}


def test_parameters_are_text_without_addresses():
    params = params_of(FunctionTransformer(lambda rows: rows))
    assert params["estimator"] == "FunctionTransformer"
    assert params["func"] == "<function test_parameters_are_text_without_addresses.<locals>.<lambda>>"


def test_long_parameters_are_cut():
    params = params_of(FunctionTransformer(kw_args={"names": ["x" * 100] * 10}))
    assert len(params["kw_args"]) == 250
    assert params["kw_args"].endswith("…")


def test_what_has_no_parameters_is_named():
    assert params_of(object()) == {"estimator": "object"}


def test_versions_are_those_of_what_a_model_can_use():
    used = versions_used()
    assert used["python"] == platform.python_version()
    assert used["scikit-learn"] == version("scikit-learn")
    libraries = {"xgboost", "lightgbm", "onnxruntime"}
    assert libraries & used.keys() == libraries & sys.modules.keys()
