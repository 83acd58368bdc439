"""Names of MLflow's models; what is kept there is tested with a real store, in tests/integration/test_training.py."""

import pytest

from scoreline.errors import StorageFailed, UsageError
from scoreline.registries.mlflow import MlflowRegistry, _names


@pytest.mark.parametrize(
    ("uri", "alias", "expected"),
    [
        ("models:/trips@champion", None, ("trips", "champion")),
        ("models:/trips@champion", "challenger", ("trips", "challenger")),
        ("models:/trips", None, ("trips", None)),
        ("models:/trips/3", None, ("trips", None)),
        ("models:/trips/Production", "champion", ("trips", "champion")),
        ("runs:/0123/model", None, (None, None)),
    ],
)
def test_name_and_alias_follow_the_jobs_uri(uri, alias, expected):
    assert _names(uri, alias) == expected


@pytest.mark.parametrize("uri", ["models:/m-0123456789", "models:/", "models:/a/b/c", "models/green"])
def test_what_names_no_registered_model_is_refused(uri):
    with pytest.raises(UsageError, match="no model can be registered as"):
        _names(uri, None)


def test_a_run_alone_has_no_alias():
    with pytest.raises(UsageError, match="has no name that the alias 'champion' could point from"):
        _names("runs:/0123/model", "champion")


def test_a_server_that_is_down_is_found_out_before_the_fit(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(StorageFailed, match=r"MLflow at http://\*\*\*@127.0.0.1:9 does not keep the model") as told:
        MlflowRegistry(tmp_path, "trips").check("models:/trips@champion", None)
    assert "secret" not in str(told.value)
    assert told.value.exit_code == 75
