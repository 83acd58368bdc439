"""What is loaded when: each question is put to a fresh interpreter, which answers with its `sys.modules`."""

import importlib.util
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.months import make_month
from tests.oracle import nyc_green

from scoreline.ledgers.sqlite import SqliteLedger

VENDORS = ["polars", "pyarrow", "sklearn", "rich", "click", "pandas", "scipy", "joblib", "numpy"]
ELSEWHERE = [
    "dotenv",
    "prometheus_client",
    *(
        f"scoreline.{name}"
        for name in (
            *("audit", "doctor", "drafting", "fate", "pruning", "replaying", "summarising", "tracing", "training"),
            *(
                "formats.csv_rows",
                "formats.jsonl_rows",
                "formats.text_rows",
                "formats.csv_output",
                "formats.jsonl_output",
            ),
            *("sources.csv", "sources.jsonl", "sources.inbox", "sources.given", "observers.log", "observers.metrics"),
        )
    ),
]
EXAMPLE = Path(__file__).parents[2] / "examples" / "nyc_green" / "job.py"
ANSWER = "\nimport json, sys\nprint(json.dumps([name for name, module in sys.modules.items() if module]))"
COMMAND = """
import sys
from scoreline.cli import main
sys.argv = ["scoreline", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


def loaded_by(code, *arguments, without=(), of=VENDORS):
    """Which modules a fresh interpreter has loaded after some code; those of ``without`` cannot be found there."""
    missing = f"import sys; sys.modules.update(dict.fromkeys({list(without)}))\n"
    done = subprocess.run(
        [sys.executable, "-c", missing + code + ANSWER, *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1])) & set(of)


def test_importing_scoreline_loads_no_vendor():
    assert loaded_by("import scoreline") == set()


@pytest.mark.parametrize(
    "module", ["errors", "partition", "template", "files", "parameters", "slot", "provenance", "settings"]
)
def test_plain_nouns_load_no_vendor(module):
    assert loaded_by(f"import scoreline.{module}") == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_loads_the_command_line_and_nothing_else(arguments):
    assert loaded_by(COMMAND, *arguments) == {"click"}


@pytest.mark.parametrize("command", ["run", "check", "status", "models", "explain", "verify"])
def test_the_help_of_a_command_loads_neither_polars_nor_pyarrow(command):
    assert loaded_by(COMMAND, command, "--help") == {"click"}


def test_all_that_a_job_is_declared_with_loads_what_polars_loads_and_no_more():
    assert loaded_by("from scoreline import *") == loaded_by("import polars")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two made-up months, and a trusted model."""
    root = tmp_path_factory.mktemp("place")
    (root / "models").mkdir(mode=0o755)
    january, february = (make_month(root / "data", 2021, month, 2_000) for month in (1, 2))
    assert february.exists()
    model = root / "models" / "m.bin"
    model.write_bytes(pickle.dumps(nyc_green.fit(january)))
    model.chmod(0o644)
    for name in ("job.py", "simulator.py"):
        shutil.copy(EXAMPLE.with_name(name), root)
    return root


def run(place, *more, **chosen):
    choices = {"data": place / "data", "model": place / "models" / "m.bin", "output": place / "out"}
    settings = [part for name, value in choices.items() for part in ("--set", f"{name}={value}")]
    return loaded_by(COMMAND, "run", place / "job.py", "2021-02", *settings, *more, **chosen)


def newest_run(place):
    return SqliteLedger(place / ".scoreline" / "ledger.sqlite").runs(limit=1)[0]


def test_a_local_accelerated_run_without_a_terminal_needs_no_rich_and_no_pandas(place):
    # scikit-learn 1.9 loads both where it finds them, so they are made impossible to find.
    loaded = run(place, "--force", without=["rich", "pandas"])
    assert {"polars", "sklearn"} <= loaded
    assert not {"rich", "pandas"} & loaded
    assert newest_run(place).state == "published"
    assert newest_run(place).facts["evidence"]["accelerated"] is True


def test_a_run_of_what_is_current_loads_no_scikit_learn(place):
    run(place)
    assert not {"rich", "pandas", "sklearn", "scipy", "joblib"} & run(place)


def test_a_run_of_parquet_loads_neither_text_formats_nor_what_other_commands_do(place):
    assert run(place, "--force", of=[*ELSEWHERE, "scoreline.sources.parquet"]) == {"scoreline.sources.parquet"}


def test_what_a_run_does_not_load_is_all_there():
    missing = [name for name in ELSEWHERE if importlib.util.find_spec(name) is None]
    assert missing == []
