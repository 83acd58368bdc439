"""What a user sees on a terminal, through a pipe, and when whoever reads the output goes away."""

import json
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest
from tests.acceptance.job_folder import MONTH, JobFolder
from tests.acceptance.processes import PATIENCE, SCRIPT
from tests.months import make_month

COMPLAINTS = ("Traceback", "Exception ignored", "BrokenPipeError", "fault in Scoreline")


def on_a_terminal(*argv):
    """Runs the installed script with standard error on a pseudo-terminal: exit code, result, what the terminal got."""
    ours, theirs = pty.openpty()
    words = [SCRIPT, *map(str, argv)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=theirs, stdin=subprocess.DEVNULL) as process:
        os.close(theirs)
        seen = b""
        while select.select([ours], [], [], PATIENCE)[0]:
            try:
                piece = os.read(ours, 1 << 16)
            except OSError:  # the other end was closed
                break
            seen += piece
        result = process.stdout.read().decode()
    os.close(ours)
    return process.returncode, result, seen.decode()


@pytest.fixture(scope="module")
def on_terminal(tmp_path_factory, models, large_month):
    """One run of several splits on a terminal."""
    job = JobFolder(tmp_path_factory.mktemp("terminal") / "job", models, large_month)
    return job, *on_a_terminal(*job.run("a", "--json", "--workers", "2"))


def test_a_terminal_gets_a_live_bar_with_splits_rate_and_time_left(on_terminal):
    job, code, _, seen = on_terminal
    assert code == 0
    assert seen.startswith(f"nyc_green[taxi_type=green] {MONTH}: run ")
    assert re.search(r"[1-4]/4 splits, [\d,]+ rows/s, \d+ s left", seen)
    assert "\x1b[" in seen
    assert job.output.exists()


def test_the_bar_fits_into_80_columns_with_all_that_it_says(on_terminal):
    _, _, _, seen = on_terminal
    frames = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", frame) for frame in re.split(r"[\r\n]+", seen)]
    assert max(len(frame) for frame in frames if "splits" in frame) <= 80
    assert "…" not in seen


def test_the_bar_is_gone_at_the_end_and_the_cursor_is_back(on_terminal):
    _, _, _, seen = on_terminal
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")
    assert seen.endswith("\x1b[2K")


def test_a_result_stays_clean_beside_the_bar(on_terminal):
    job, _, result, _ = on_terminal
    assert json.loads(result)["outputs"][0]["path"] == str(job.output)


def test_an_error_on_a_terminal_ends_the_bar_before_it_speaks(job):
    broken = job.root / "models/broken.bin"
    broken.write_bytes(b"no pickle")
    code, result, seen = on_a_terminal("run", job.job, MONTH, "--model", broken)
    assert (code, result) == (1, "")
    assert seen.index("error: ") > seen.rindex("\x1b[?25h")


def test_a_pipe_gets_plain_lines(cli, large_job):
    process = cli(*large_job.run())
    assert "\x1b" not in process.stdout + process.stderr
    assert process.stderr.count("\n") >= 1
    assert process.stderr.startswith(f"nyc_green[taxi_type=green] {MONTH}: run ")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("run {job} 2021-02 --model {model} --force --json", 0),
        ("run {job} 2031-01 --model {model} --json", 75),
        ("status {job} --all", 0),
        ("--help", 0),
    ],
)
def test_a_reader_that_leaves_changes_no_exit_code_and_causes_no_complaint(published, words, code):
    words = words.format(job=published.job, model=published.model("a"))
    line = f"{SCRIPT} {words} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout == f"{code}\n"
    assert not [word for word in COMPLAINTS if word in done.stderr], done.stderr


def test_the_first_line_is_enough_for_head(published):
    words = ["bash", "-o", "pipefail", "-c", f"{SCRIPT} status {published.job} --json | head -1"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert (done.stdout, done.stderr) == ("[\n", "")


def test_a_full_disk_behind_standard_output_is_an_error(published):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [SCRIPT, "status", published.job],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode not in {0, 2}
    assert "No space left on device" in done.stderr
    assert not [word for word in COMPLAINTS if word in done.stderr], done.stderr


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "scoreline", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("scoreline ")


def test_output_that_is_no_utf8_terminal_shows_rows_all_the_same(cli, job):
    process = cli(*job.run("a", "--preview", "--limit", "3"), environment={"LC_ALL": "C", "PYTHONUTF8": "0"})
    assert "predicted_duration" in process.stdout


def test_a_month_without_a_row_is_published_empty(cli, job):
    make_month(job.input.parent, 2021, 3, 0)
    report = cli.json("run", job.job, "2021-03", "--model", job.model("a"))
    assert (report["state"], report["counts"]["rows_in"], report["outputs"][0]["rows"]) == ("published", 0, 0)
    assert (job.output.parent / "3-2021.parquet").exists()
