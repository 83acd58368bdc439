import copy
import inspect
import pickle

import pytest

from scoreline import errors
from scoreline.errors import (
    InputMissing,
    Refused,
    ScorelineError,
    Terminal,
    Transient,
    UsageError,
    for_job,
    storage_failed,
)

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ScorelineError)]
LEAVES = [kind for kind in CLASSES if kind not in {ScorelineError, Terminal, Transient}]


def test_the_tree_has_been_found():
    assert len(LEAVES) > 20


@pytest.mark.parametrize("kind", LEAVES)
def test_every_error_is_either_terminal_or_transient(kind):
    assert issubclass(kind, Terminal) != issubclass(kind, Transient)


@pytest.mark.parametrize("kind", LEAVES)
def test_the_exit_code_says_whether_a_retry_can_help(kind):
    own = {UsageError: 2, Refused: 3}
    assert kind("x").exit_code == (75 if issubclass(kind, Transient) else own.get(kind, 1))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_survives_pickling_with_message_hint_and_facts(kind, protocol):
    error = kind("what happened", hint="do this", path="in/a.parquet", rows=3, nested={"a": [1, None]})
    back = pickle.loads(pickle.dumps(error, protocol))
    assert type(back) is kind
    assert (back.message, back.hint, back.facts) == (error.message, error.hint, error.facts)
    assert (back.path, back.rows, back.args, str(back)) == ("in/a.parquet", 3, error.args, str(error))


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_without_hint_and_facts_survives_pickling(kind):
    back = pickle.loads(pickle.dumps(kind()))
    assert (back.message, back.hint, back.facts) == (kind().message, None, {})


@pytest.mark.parametrize("kind", CLASSES)
def test_the_first_line_of_the_docstring_is_the_default_message(kind):
    assert str(kind()) == inspect.getdoc(kind).splitlines()[0]


def test_a_message_ends_with_its_hint():
    assert str(InputMissing("nothing there", hint="fetch it")) == "nothing there\n  Hint: fetch it"


def test_a_fact_that_was_not_given_is_no_attribute():
    assert not hasattr(InputMissing("x", rows=1), "path")


def test_an_error_can_be_copied():
    back = copy.deepcopy(InputMissing("x", hint="y", rows=[1]))
    assert (type(back), back.message, back.hint, back.facts) == (InputMissing, "x", "y", {"rows": [1]})


def test_an_error_of_the_operating_system_names_the_file_and_can_be_retried():
    error = storage_failed(OSError(28, "No space left on device", "/data/out"))
    assert (error.exit_code, error.message) == (75, "No space left on device: /data/out")


def test_an_error_of_the_operating_system_without_a_file_says_so():
    assert storage_failed(OSError("odd")).message == "odd: no file named"


@pytest.mark.parametrize(
    ("hint", "job", "expected"),
    [
        ("mend it, then: scoreline check JOB", "jobs/a b.py", "mend it, then: scoreline check 'jobs/a b.py'"),
        ("scoreline status JOB shows JOBS", "job.py", "scoreline status job.py shows JOBS"),
        ("name its file with --job JOB", None, "name its file with --job JOB"),
        ("a path with a backslash: JOB", r"a\1.py", r"a path with a backslash: 'a\1.py'"),
        (None, "job.py", None),
    ],
)
def test_the_commands_of_a_hint_name_the_job(hint, job, expected):
    assert for_job(hint, job) == expected
