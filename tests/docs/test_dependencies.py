"""Why each dependency is there: docs/decisions/0001-dependencies.md has a line for every one."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
REASONS = (ROOT / "docs" / "decisions" / "0001-dependencies.md").read_text()
ASKED = [
    *PROJECT["project"]["dependencies"],
    *(one for extra in PROJECT["project"]["optional-dependencies"].values() for one in extra),
    *(one for group in PROJECT["dependency-groups"].values() for one in group),
]
NAMES = sorted({re.match(r"[\w.-]+", one)[0] for one in ASKED})


@pytest.mark.parametrize("name", NAMES)
def test_each_dependency_has_its_reason(name):
    assert re.search(rf"^\|.*(?<![\w-]){re.escape(name)}(?![\w-]).*\|", REASONS, re.MULTILINE)


def test_each_reason_is_for_a_dependency():
    rows = re.findall(r"^\| (?:`\w+` )?\|? ?([\w, -]+?) \| ", REASONS, re.MULTILINE)
    given = {name.strip() for row in rows for name in row.split(",")}
    assert given - {"package", "extra", "packages"} <= set(NAMES)
