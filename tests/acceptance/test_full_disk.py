"""Disks that fill up: the run says so and asks for a retry, the old generation stays, and the retry works."""

import shutil
import subprocess
from copy import copy
from pathlib import Path

import pytest
from tests.acceptance.processes import Forks

MB = 1 << 20


def require_full(process, job, old):
    assert process.code == 75, process.stderr
    assert any(
        words in process.stderr for words in ("No space left on device", "File too large", "check the disk's space")
    )
    assert "\n  Hint: " in process.stderr
    assert "fault in Scoreline" not in process.stderr
    assert "Traceback" not in process.stderr
    assert job.digest() == old


@pytest.mark.parametrize("largest", [2 * MB, 6 * MB], ids=["in-a-part", "in-the-joined-file"])
def test_a_file_that_may_not_grow_stops_the_run_and_a_retry_works(forks, large_job, largest):
    assert forks.run(*large_job.run("a")).code == 0
    old = large_job.digest()

    full = forks.run(*large_job.run("b"), largest_file=largest)
    require_full(full, large_job, old)
    assert large_job.states() == ["published", "failed"]
    assert large_job.litter() == []

    again = forks.run(*large_job.run("b"))
    assert again.code == 0, again.stderr
    assert large_job.digest() != old
    assert large_job.litter() == []


MOUNTED = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size="$1" none "$2" && shift 2 && exec "$@"', "sh")
"""A command that mounts a small disk for itself and its children alone; it vanishes with them. Only root may."""


def can_mount():
    command = [*MOUNTED, "1m", "/mnt", "true"]
    return shutil.which("unshare") and subprocess.run(command, capture_output=True, check=False).returncode == 0


if can_mount():

    class Disk:
        """A disk of 64 MB with the home and the output of a job; its input and its models lie elsewhere.

        Args:
            job: what to run.
            server: starts processes that have the disk mounted.
            place: where they have it.

        Attributes:
            job: as this process sees it, which has not mounted the disk.
        """

        def __init__(self, job, server, place):
            self._server, self._words = server, {name: job.run(name) for name in "ab"}
            self._settings = ["--set", f"output={place}/predictions"]
            self._environment = {"SCORELINE_HOME": f"{place}/home"}
            self.job = copy(job)
            self.job.root = Path(f"/proc/{server.pid}/root{place}")
            self.job.home = self.job.root / "home"
            self.job.output = self.job.root / "predictions/green/2-2021.parquet"
            self._filler = self.job.root / "filler"

        def run(self, model):
            return self._server.run(*self._words[model], *self._settings, environment=self._environment)

        def fill(self, leave):
            """Takes all space but so many bytes."""
            with self._filler.open("wb", buffering=0) as filler:
                while (free := shutil.disk_usage(self.job.root).free) > leave:
                    filler.write(bytes(min(MB, free - leave)))

        def empty(self):
            self._filler.unlink()

    @pytest.fixture(scope="module")
    def mounted(tmp_path_factory):
        """A fork server, and where its processes have a small disk of their own."""
        place = tmp_path_factory.mktemp("disk")
        server = Forks(tmp_path_factory.mktemp("outputs"), within=[*MOUNTED, "64m", str(place)])
        yield server, place
        server.close()

    @pytest.fixture
    def disk(large_job, mounted):
        made = Disk(large_job, *mounted)
        yield made
        for path in made.job.root.iterdir():
            shutil.rmtree(path)

    @pytest.mark.parametrize("free", [0, 6 * MB, 16 * MB], ids=["in-the-ledger", "in-a-part", "in-the-joined-file"])
    def test_a_full_disk_stops_the_run_and_a_retry_works(disk, free):
        assert disk.run("a").code == 0
        old = disk.job.digest()

        disk.fill(leave=free)
        require_full(disk.run("b"), disk.job, old)
        disk.empty()

        again = disk.run("b")
        assert again.code == 0, again.stderr
        assert disk.job.digest() != old
        assert disk.job.litter() == []
