"""The table of traps names tests that exist, and no trap without one."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from scoreline.testing.file_sinks import FileSinkSuite
from scoreline.testing.parquet_sources import ParquetSourceSuite
from scoreline.testing.shared_ledgers import SharedLedgerSuite
from scoreline.testing.text_sources import CsvSourceSuite, JsonlSourceSuite

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/traps.md").read_text("utf-8")
HERE, _, LATER = PAGE.partition("\n## Not here yet\n")
ROWS = [line.strip("|").split(" | ") for line in HERE.splitlines() if re.match(r"\| (?!trap|promise)", line)]
REFERENCE = re.compile(r"`([\w/]+\.py)::(\w+)(?:\[(\w+)\])?`")
CITED = sorted({found.groups() for found in REFERENCE.finditer(PAGE)}, key=str)
SUITES = {
    "test_sqlite_ledger": SharedLedgerSuite,
    "test_parquet_source": ParquetSourceSuite,
    "test_csv_source": CsvSourceSuite,
    "test_jsonl_source": JsonlSourceSuite,
    "test_inbox_source": ParquetSourceSuite,
    "test_parquet_sink": FileSinkSuite,
    "test_text_sink": FileSinkSuite,
}


@cache
def functions_of(file):
    tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize(("file", "test", "check"), CITED, ids=["::".join(filter(None, one)) for one in CITED])
def test_a_cited_test_exists(file, test, check):
    assert test in functions_of(file)
    assert check is None or check in SUITES[test].checks()


@pytest.mark.parametrize("row", ROWS, ids=[f"{number}: {row[0].strip()}" for number, row in enumerate(ROWS)])
def test_a_trap_has_what_is_done_about_it_and_a_test(row):
    _, answer, tests = row
    assert answer.strip()
    assert REFERENCE.sub("", tests).strip() == ""
    assert REFERENCE.search(tests)


def test_what_is_not_here_yet_says_why():
    rows = [line.strip("|").split(" | ") for line in LATER.splitlines() if line.startswith("| ")][1:]
    assert rows
    assert all(len(row) == 2 and row[1].strip() for row in rows)
