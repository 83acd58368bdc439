"""The command line as a user's shell has it: a call, its exit code, and what stands on its two outputs."""

from __future__ import annotations

import json
import os
import subprocess

from tests.acceptance.processes import PATIENCE, SCRIPT

ERROR = "error: "


class Shell:
    """Calls the command line in processes of their own, and asks of each what holds for all of them.

    Args:
        forks: starts processes.
        folder: where the user stands.
    """

    def __init__(self, forks, folder):
        self._forks, self.folder = forks, folder

    def __call__(self, *argv, code=0, folder=None, environment=None):
        """Runs `scoreline ARGV...` to its end, with this exit code, or any for None."""
        process = self._forks.run(*argv, folder=folder or self.folder, environment=environment)
        said = f"{argv} exited {process.code}:\n{process.stdout}{process.stderr}"
        assert code in (process.code, None), said
        assert "Traceback" not in said, said
        assert "fault in Scoreline" not in said, said
        return process

    def json(self, *argv, **chosen):
        """Runs a command with `--json`: what it printed, parsed."""
        return json.loads(self(*argv, "--json", **chosen).stdout)

    def refuses(self, *argv, code=1, hint=True, **chosen):
        """Runs a command that ends with an error; its text, message and hint. Nothing else is on standard output."""
        process = self(*argv, code=code, **chosen)
        assert process.stdout == ""
        told = process.stderr[process.stderr.index(ERROR) :]
        assert ("\n  Hint: " in told) == hint, told
        return told


def pasted(command, folder):
    """Runs a line that Scoreline printed, in a shell where the script is on the path."""
    path = f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
