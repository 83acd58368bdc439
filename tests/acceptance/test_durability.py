"""What a publication asks of the kernel, and in which order, as strace saw it.

A rename that reaches the disk before the bytes of its file leaves an empty file after a loss of power. No test here can
cut the power, so the order of the calls is what is checked: contents before names, names before what relies on them.
Where strace cannot run, the sink suite's recording of the calls that Python makes is what stands.
"""

import os
import re
import shutil
import subprocess

import pytest
from tests.acceptance.job_folder import JobFolder
from tests.acceptance.processes import PATIENCE, SCRIPT

CALLS = "fsync,fdatasync,rename,renameat,renameat2,link,linkat,openat,creat,truncate"
DONE = re.compile(r"^(\d+) +(\w+)\((.*)\) += \d")
BEGUN = re.compile(r"^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$")
ENDED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)\) += \d")
QUOTED = re.compile(r'"([^"]*)"')
OPENED = re.compile(r"^\d+<([^>]*)>")


class Trace:
    """The calls that succeeded, in the order in which they ended.

    Each is ("sync", path), ("name", old path, new path), or ("write", path) for what was opened for writing.
    """

    def __init__(self, text):
        self.calls, begun = [], {}
        for line in text.splitlines():
            if found := BEGUN.match(line):
                begun[found[1]] = found[3]
            elif found := ENDED.match(line):
                self._add(found[2], begun.pop(found[1]) + found[3])
            elif found := DONE.match(line):
                self._add(found[2], found[3])

    def _add(self, call, given):
        paths = QUOTED.findall(given)
        if call in {"fsync", "fdatasync"}:
            self.calls.append(("sync", OPENED.match(given)[1]))
        elif call.startswith(("rename", "link")):
            self.calls.append(("name", *paths[-2:]))
        elif call != "openat" or "O_WRONLY" in given or "O_RDWR" in given:
            self.calls.append(("write", paths[0]))

    def naming(self, path):
        """(position, old name) of the one call by which the path got its content."""
        ((position, old),) = [
            (number, call[1]) for number, call in enumerate(self.calls) if call[0] == "name" and call[2] == str(path)
        ]
        return position, old

    def synced(self, path):
        """Positions of the calls that brought a file or folder to stable storage."""
        return [number for number, call in enumerate(self.calls) if call == ("sync", str(path))]

    def written(self):
        """Paths that were opened for writing."""
        return {call[1] for call in self.calls if call[0] == "write"}


def strace(*argv, output):
    # With a filter in the kernel, only the calls of interest stop the process.
    command = [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-y",
        "-s",
        "4096",
        "-e",
        f"trace={CALLS}",
        "-e",
        "signal=none",
        "-o",
        output,
    ]
    return subprocess.run(
        [*command, *map(str, argv)], env=os.environ, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def can_trace():
    return shutil.which("strace") is not None and strace("true", output=os.devnull).returncode == 0


if can_trace():

    @pytest.fixture(scope="module")
    def traced(tmp_path_factory, models, small_month):
        """A first publication by the installed script: its job folder, and its calls."""
        folder = tmp_path_factory.mktemp("traced")
        job = JobFolder(folder / "job", models, small_month)
        ran = strace(SCRIPT, *job.run("a"), output=folder / "calls")
        assert ran.returncode == 0, ran.stderr
        return job, Trace((folder / "calls").read_text())

    def test_the_staged_file_is_on_disk_before_it_gets_its_names(traced):
        job, trace = traced
        published, staged = trace.naming(job.output)
        named, temporary = trace.naming(staged)
        assert any(position < named for position in trace.synced(temporary))
        assert any(named < position < published for position in trace.synced(os.path.dirname(staged)))  # noqa: PTH120

    def test_the_name_of_the_published_file_is_on_disk_before_the_ledger_hears_of_it(traced):
        job, trace = traced
        published, _ = trace.naming(job.output)
        on_disk = next(position for position in trace.synced(job.output.parent) if position > published)
        told = next(position for position in trace.synced(job.home / "ledger.sqlite-wal") if position > published)
        assert on_disk < told

    def test_new_output_folders_are_on_disk_before_the_file_is_published_into_them(traced):
        job, trace = traced
        published, _ = trace.naming(job.output)
        for folder in (job.root, job.root / "predictions"):
            assert any(position < published for position in trace.synced(folder)), folder

    def test_the_published_file_is_never_opened_for_writing(traced):
        job, trace = traced
        _, staged = trace.naming(job.output)
        _, temporary = trace.naming(staged)
        assert str(job.output) not in trace.written()
        assert temporary in trace.written()
