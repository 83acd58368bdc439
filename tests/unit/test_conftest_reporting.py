"""The suite says how many real-data tests ran, and can insist that all of them did."""

import os
from pathlib import Path

import pytest

pytest_plugins = "pytester"

CONFTEST = Path(__file__).parents[1] / "conftest.py"
A_TEST = "def test_it(real_data): assert (real_data / 'trips.csv').exists()"
A_SKIPPED_TEST = """
import pytest
@pytest.mark.real_data
def test_it(): pytest.skip("not today")
"""


@pytest.fixture
def suite(pytester):
    """An empty project with this conftest; its data belongs in `data/`."""
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makeini("[pytest]\nstrict = true\nmarkers = real_data")
    return pytester


@pytest.fixture
def run(suite, monkeypatch):
    def run(test, *args, require=False):
        monkeypatch.setenv("SCORELINE_REAL_DATA", str(suite.path / "data"))
        monkeypatch.setenv("SCORELINE_REQUIRE_REAL_DATA", "1" if require else "0")
        suite.makepyfile(test)
        return suite.runpytest("-rs", *args)

    return run


@pytest.fixture
def data(suite):
    suite.mkdir("data").joinpath("trips.csv").touch()


def test_counts_the_tests_that_ran(run, data):
    result = run(A_TEST, require=True)
    assert result.ret == pytest.ExitCode.OK
    assert result.outlines[-2] == "real-data tests: 1 ran, 0 skipped (data found at data)"


def test_skips_with_a_plain_message_where_there_is_no_data(run):
    result = run(A_TEST, require=True)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["SKIPPED*no real data at data (SCORELINE_REAL_DATA*"])
    assert result.outlines[-2] == "real-data tests: 0 ran, 1 skipped (no data at data)"


@pytest.mark.parametrize(("require", "ending"), [(True, 1), (False, 0)])
def test_a_skip_beside_the_data_fails_only_where_data_is_required(run, data, require, ending):
    result = run(A_SKIPPED_TEST, require=require)
    assert result.ret == ending
    result.stdout.fnmatch_lines(["real-data tests: 0 ran, 1 skipped (data found at data)"])


def test_the_marker_alone_needs_the_data_too(run):
    result = run("import pytest\n@pytest.mark.real_data\ndef test_it(): raise AssertionError")
    result.assert_outcomes(skipped=1)


def test_whoever_asks_for_the_fixture_can_be_selected_by_the_marker(run, data):
    result = run(A_TEST + "\ndef test_other(): pass", "-m", "real_data")
    result.assert_outcomes(passed=1, deselected=1)


def test_an_expected_failure_is_no_skip(run, data):
    result = run("import pytest\n@pytest.mark.xfail\ndef test_it(real_data): assert 0", require=True)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["real-data tests: 0 ran, 0 skipped*"])


def test_no_setting_of_the_shell_reaches_a_test(run, monkeypatch):
    monkeypatch.setenv("SCORELINE_HOME", "elsewhere")
    run("import os\ndef test_it(): assert 'SCORELINE_HOME' not in os.environ").assert_outcomes(passed=1)
    assert [name for name in os.environ if name.startswith("SCORELINE_")] == ["SCORELINE_CPU_LIMIT_PERCENT"]


@pytest.mark.parametrize(("test", "ran", "ending"), [(A_TEST, 1, 0), (A_SKIPPED_TEST, 0, 1)])
def test_what_workers_ran_counts_and_fails_alike(run, data, test, ran, ending):
    result = run(test, "-n", "1", require=True)
    assert result.ret == ending
    result.stdout.fnmatch_lines([f"real-data tests: {ran} ran, {1 - ran} skipped (data found at data)"])
