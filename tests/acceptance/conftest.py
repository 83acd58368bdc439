import sys

import pytest
from tests.acceptance.job_folder import JobFolder, fit_models, write_month
from tests.acceptance.processes import Forks
from tests.acceptance.shell import Shell


@pytest.fixture
def tell(capsys, request):
    """Prints lines that are shown also when the test passes."""

    def lines(*texts):
        with capsys.disabled():
            sys.stdout.write("\n".join(["", request.node.name, *texts, ""]))

    return lines


@pytest.fixture(scope="session")
def forks(tmp_path_factory):
    server = Forks(tmp_path_factory.mktemp("outputs"))
    yield server
    server.close()


@pytest.fixture
def cli(forks, tmp_path):
    """Calls the command line from an empty folder."""
    return Shell(forks, tmp_path)


@pytest.fixture
def published(cli, job):
    """The small month, published once."""
    cli(*job.run())
    return job


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    return fit_models(tmp_path_factory.mktemp("trained") / "models")


@pytest.fixture(scope="session")
def small_month(tmp_path_factory):
    """2,000 rows: one split."""
    return write_month(tmp_path_factory.mktemp("months") / "small", 2_000, 2_000)


@pytest.fixture(scope="session")
def large_month(tmp_path_factory):
    """560,000 rows in four units, so that two workers have two splits each."""
    return write_month(tmp_path_factory.mktemp("months") / "large", 560_000, 140_000)


@pytest.fixture
def job(tmp_path, models, small_month):
    return JobFolder(tmp_path / "job", models, small_month)


@pytest.fixture
def large_job(tmp_path, models, large_month):
    return JobFolder(tmp_path / "job", models, large_month)


@pytest.fixture(scope="session")
def digests(tmp_path_factory, forks, models, small_month):
    """Model -> content digest of an undisturbed run over the small month."""
    undisturbed = JobFolder(tmp_path_factory.mktemp("undisturbed") / "job", models, small_month)
    return {name: digest_of_run(forks, undisturbed, name) for name in "ab"}


@pytest.fixture(scope="session")
def large_digest(tmp_path_factory, forks, models, large_month):
    """Content digest of an undisturbed run over the large month."""
    return digest_of_run(forks, JobFolder(tmp_path_factory.mktemp("large") / "job", models, large_month), "b")


def digest_of_run(forks, job, model):
    ran = forks.run(*job.run(model))
    assert ran.code == 0, ran.stderr
    return job.digest()
