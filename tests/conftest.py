"""Where the real data is, who needs it, and that nobody goes without it unnoticed."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Failures of a shipped suite show their values, as those of a test do. Here, before any test module imports it.
pytest.register_assert_rewrite("scoreline.testing")

# A loaded machine must not turn a property test into a stopwatch; pytest-timeout catches what hangs. The same examples
# each time, so that a change is judged by what it changed; `make fuzz` looks for new ones.
settings.register_profile("scoreline", deadline=None, derandomize=True)
settings.register_profile("fuzz", deadline=None)
settings.load_profile("scoreline")

HERE = pytest.StashKey[Path]()
REQUIRED = pytest.StashKey[bool]()


class Tally:
    """Counts real-data tests by their reports, which reach the controlling process also where workers ran them."""

    def __init__(self):
        self.ran = self.skipped = 0

    def pytest_runtest_logreport(self, report):
        if "real_data" in report.keywords:
            self.skipped += report.skipped and not hasattr(report, "wasxfail")
            self.ran += report.when == "call" and not report.skipped


TALLY = pytest.StashKey[Tally]()


def pytest_configure(config):
    # A worker of pytest-xdist is told by its controller, which has cleaned the environment by then.
    told = getattr(config, "workerinput", {}).get("real_data") or os.environ.get("SCORELINE_REAL_DATA")
    config.stash[HERE] = Path(told or config.rootpath / "../shared/data")
    config.stash[REQUIRED] = os.environ.get("SCORELINE_REQUIRE_REAL_DATA") == "1"
    config.stash[TALLY] = Tally()
    config.pluginmanager.register(config.stash[TALLY])
    # No setting of the developer's shell reaches a test, nor a process that a test starts.
    for name in [name for name in os.environ if name.startswith("SCORELINE_")]:
        del os.environ[name]
    # Tests make the machine busy themselves; a job that waits for a calm one would wait for their end.
    os.environ["SCORELINE_CPU_LIMIT_PERCENT"] = "100"
    # Each test has a home of its own, and compiling the walk through trees takes seconds.
    os.environ.setdefault("NUMBA_CACHE_DIR", str(config.rootpath / ".pytest_cache" / "numba"))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    node.workerinput["real_data"] = str(node.config.stash[HERE])


@pytest.fixture(scope="session")
def real_data(pytestconfig):
    """The folder of real data: nyc, iris, chicago. Whoever asks for it is marked `real_data`."""
    folder = pytestconfig.stash[HERE]
    if not folder.is_dir():
        pytest.skip(f"no real data at {_shown(pytestconfig)} (SCORELINE_REAL_DATA names another folder)")
    return folder.resolve()


@pytest.hookimpl(tryfirst=True)  # before -m looks at the markers
def pytest_collection_modifyitems(items):
    for item in items:
        if "real_data" in item.fixturenames:
            item.add_marker("real_data")
        elif item.get_closest_marker("real_data"):
            item.fixturenames.insert(0, "real_data")


def pytest_sessionfinish(session, exitstatus):
    if exitstatus == pytest.ExitCode.OK and _missed(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True, tryfirst=True)  # after everything else
def pytest_terminal_summary(terminalreporter, config):
    result = yield
    found = "data found" if config.stash[HERE].is_dir() else "no data"
    tally = config.stash[TALLY]
    terminalreporter.write_line(
        f"real-data tests: {tally.ran} ran, {tally.skipped} skipped ({found} at {_shown(config)})"
    )
    if _missed(config):
        terminalreporter.write_line("failed: with the data here, no test that needs it may be skipped", red=True)
    return result


def _missed(config):
    return config.stash[REQUIRED] and config.stash[HERE].is_dir() and config.stash[TALLY].skipped > 0


def _shown(config):
    return os.path.relpath(config.stash[HERE], config.rootpath)
