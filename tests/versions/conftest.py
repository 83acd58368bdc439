"""Models of every version, each made once, and the outcomes of scoring them, for the tests and for the table."""

import functools
import json

import polars as pl
import pytest
from tests.versions import environments, table
from tests.versions.rows import rows
from tests.versions.scoring import outcome

MEASURED = pytest.StashKey[str]()


def pytest_addoption(parser):
    parser.addoption("--write-table", action="store_true", help="put the measured table into the reference page")


@pytest.fixture(scope="session")
def parquet(tmp_path_factory):
    """The rows, as a job reads them."""
    path = tmp_path_factory.mktemp("input") / "rows.parquet"
    pl.DataFrame(rows()).write_parquet(path)
    return path


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Version -> folder of the models that it made."""
    place = tmp_path_factory.mktemp("versions")
    place.chmod(0o755)  # a folder that others may not write to is one that a job may trust
    given = place / "rows.json"
    given.write_text(json.dumps(rows()))

    @functools.cache
    def made(version):
        folder = place / f"made-by-{version}"
        environments.make_models(version, given, folder)
        return folder

    return made


@pytest.fixture(scope="session")
def made_with(models):
    """Version -> package -> version, of what made the models."""
    return lambda version: json.loads((models(version) / "versions.json").read_text())


@pytest.fixture(scope="session")
def outcomes(models, parquet, tmp_path_factory):
    """(version, kind, accept_version, suffix) -> ``equal`` or the name of the refusal; other numbers fail the test."""

    @functools.cache
    def measured(version, kind, *, accept_version=False, suffix="pkl"):
        root = tmp_path_factory.mktemp("job")
        model = models(version) / f"{kind}.{suffix}"
        return outcome(root, parquet, kind, model, accept_version=accept_version)

    return measured


@pytest.fixture(scope="session")
def show(pytestconfig):
    """Keeps the measured table, to be shown at the end, and in the page when asked to."""

    def keep(measured):
        pytestconfig.stash[MEASURED] = measured
        if pytestconfig.getoption("--write-table"):
            table.write(measured)

    return keep


def pytest_terminal_summary(terminalreporter, config):
    if measured := config.stash.get(MEASURED, None):
        terminalreporter.section("models of other versions")
        terminalreporter.write_line(measured)
