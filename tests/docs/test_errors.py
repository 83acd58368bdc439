"""The page of errors lists all of them as they are, and each is raised in the code and provoked in a test."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from scoreline import errors
from scoreline.errors import ScorelineError, Terminal, Transient

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/errors.md").read_text("utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| (\d+) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
BASES = {ScorelineError, Terminal, Transient}
KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, ScorelineError) and kind not in BASES
]
NAMES = [kind.__name__ for kind in KINDS]
SUITES = ROOT / "src/scoreline/testing"
"""Checks that tests/contracts runs over every implementation."""


@cache
def raised():
    """Names that are called somewhere in the package."""
    files = [file for file in (ROOT / "src/scoreline").rglob("*.py") if not file.is_relative_to(SUITES)]
    calls = (node.func for file in files for node in ast.walk(_tree(file)) if isinstance(node, ast.Call))
    return {getattr(one, "id", getattr(one, "attr", "")) for one in calls}


@cache
def provoked():
    """Names that tests use, as a class or as the text of an error's type; importing one is no use of it."""
    files = [
        file for place in (ROOT / "tests", SUITES) for file in place.rglob("test_*.py" if place != SUITES else "*.py")
    ]
    nodes = [node for file in files if file != Path(__file__) for node in ast.walk(_tree(file))]
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return texts | {node.id for node in nodes if isinstance(node, ast.Name)}


def _tree(file):
    return ast.parse(file.read_text("utf-8"))


def test_the_page_has_one_row_for_each_error():
    assert sorted(name for name, *_ in ROWS) == sorted(NAMES)


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_its_row_says_what_the_error_says(kind):
    (row,) = (row for row in ROWS if row[0] == kind.__name__)
    assert row[1:3] == (str(kind.exit_code), kind.__doc__.splitlines()[0])
    heading = "## Terminal" if issubclass(kind, Terminal) else "## Transient"
    assert PAGE[: PAGE.index(f"| `{kind.__name__}` |")].rpartition("\n## ")[2].startswith(heading.removeprefix("## "))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_raised_by_the_code(name):
    assert name in raised()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_provoked_by_a_test(name):
    assert name in provoked()
