from scoreline.stores.mlflow import artifacts, database, registry_uri, settings


def test_by_default_everything_lies_in_the_home(tmp_path):
    environment = {}
    assert settings(tmp_path, environment) == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert registry_uri(tmp_path, environment) == settings(tmp_path, environment)
    assert (database(tmp_path), artifacts(tmp_path)) == (tmp_path / "mlflow/mlflow.db", tmp_path / "mlflow/artifacts")
    assert list(tmp_path.iterdir()) == []


def test_the_user_s_own_variables_name_the_servers(tmp_path):
    environment = {"MLFLOW_TRACKING_URI": "http://tracking", "MLFLOW_REGISTRY_URI": "http://registry"}
    assert settings(tmp_path, environment) == "http://tracking"
    assert registry_uri(tmp_path, environment) == "http://registry"
    del environment["MLFLOW_REGISTRY_URI"]
    assert registry_uri(tmp_path, environment) == "http://tracking"


def test_an_empty_variable_names_no_server(tmp_path):
    assert settings(tmp_path, {"MLFLOW_TRACKING_URI": ""}).startswith("sqlite:")


def test_what_the_user_has_set_stays(tmp_path):
    environment = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "300"}
    settings(tmp_path, environment)
    assert environment["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "300"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert int(environment["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]) <= 3
