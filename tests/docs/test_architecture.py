"""ARCHITECTURE.md: its tree is the tree that there is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "scoreline"
TREE = (ROOT / "ARCHITECTURE.md").read_text().split("```")[1]
ADAPTERS = sorted(
    path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name not in {"cli", "jobs", "testing"}
)
WHOLE = {path.name for path in PACKAGE.rglob("*.py")} - {"__init__.py", "__main__.py"}


def test_each_module_of_the_package_has_its_line():
    lines = re.findall(r"^  (\w+\.py) +\S", TREE, re.MULTILINE)
    assert sorted(lines) == sorted(path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__"))


@pytest.mark.parametrize("folder", [name for name in ADAPTERS if not name.startswith("__")])
def test_each_module_of_a_folder_is_named_beside_it(folder):
    start = TREE.index(f" {folder}/ ") if f" {folder}/ " in TREE else TREE.index(f" {folder}/")
    # A folder's text goes on in deeper lines, and ends where another line begins.
    text = re.split(r"\n  \S", TREE[start + 1 :], maxsplit=1)[0]
    missing = (
        {path.name for path in (PACKAGE / folder).glob("*.py")} - {"__init__.py"} - set(re.findall(r"\w+\.py", text))
    )
    assert missing == set()


def test_nothing_is_named_that_is_not_there():
    named = set(re.findall(r"(?<![/\w])(\w+\.py)", TREE))
    assert named - WHOLE == set()
