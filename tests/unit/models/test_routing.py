from dataclasses import dataclass, field
from pathlib import Path

from scoreline.abc import ModelVersion
from scoreline.models.routing import RoutingStore


@dataclass
class Remembering:
    """A store that remembers what it was asked."""

    name: str
    asked: list = field(default_factory=list)

    def resolve(self, uri):
        self.asked.append(uri)
        return ModelVersion(uri, self.name, self.name, Path("folder"), 1)

    def fetch(self, version):
        self.asked.append(version)
        return self.name


def routed():
    paths, mlflow, made = Remembering("paths"), Remembering("mlflow"), []

    def make():
        made.append("mlflow")
        return mlflow

    return RoutingStore(paths, {"runs": make, "models": make}), made


def test_a_uri_goes_to_the_store_of_its_scheme():
    store, made = routed()
    found = [store.resolve(uri).digest for uri in ("runs:/1/model", "models:/m@champion", "models:/m/3")]
    assert found == ["mlflow"] * 3
    assert made


def test_everything_else_is_a_path_and_makes_no_other_store():
    store, made = routed()
    paths = ["models/m.pkl", "/abs/m.pkl", "file:///m.pkl", "s3://b/m.pkl", "models", "runs/1/model", "~/m.pkl"]
    assert [store.resolve(path).digest for path in paths] == ["paths"] * len(paths)
    assert made == []


def test_what_was_resolved_lies_at_a_path_and_is_fetched_without_its_store():
    store, made = routed()
    version = ModelVersion("models:/m@champion", "d", "r", Path("folder"), 1)
    assert store.fetch(version) == "paths"
    assert made == []
