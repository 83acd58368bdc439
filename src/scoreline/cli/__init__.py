"""The command line: parse, call, print. Commands are imported when they are called, so that ``--help`` is quick."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import sys
import traceback
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import click

from scoreline import own_process
from scoreline.errors import Cancelled, ScorelineError, Terminal, for_job, storage_failed

_COMMANDS = {
    "init": ("scoreline.cli.init:init", "Make a job for your own model and data."),
    "run": ("scoreline.cli.run:run", "Score one partition and publish it, if it is due."),
    "plan": ("scoreline.cli.plan:plan", "Show what a backfill would score, and why."),
    "backfill": ("scoreline.cli.backfill:backfill", "Score and publish what is due of a range."),
    "train": ("scoreline.cli.train:train", "Train the job's model on its own rows, and keep it."),
    "check": ("scoreline.cli.check:check", "Try a job's declaration, model and first rows; publish nothing."),
    "doctor": ("scoreline.cli.doctor:doctor", "Explain what is wrong, and name the next command."),
    "score": ("scoreline.cli.score:score", "Score one month by hand, with a model of an MLflow run."),
    "simulate": ("scoreline.cli.simulate:simulate", "Make up input files, for a job that has a simulator."),
    "status": ("scoreline.cli.status:status", "Show what is published, what failed, and what to do."),
    "quarantine": (
        "scoreline.cli.quarantine:quarantine",
        "Show rejected rows with their reasons, and replay corrected ones.",
    ),
    "release": ("scoreline.cli.release:release", "Publish what a gate has refused."),
    "explain": ("scoreline.cli.explain:explain", "Show how a prediction came to be: run, model, input row."),
    "verify": ("scoreline.cli.verify:verify", "Check that published files are as their runs wrote them."),
    "report": ("scoreline.cli.report:report", "Show what a published partition came to, in numbers."),
    "prune": ("scoreline.cli.prune:prune", "Remove what has been kept for long enough."),
    "models": ("scoreline.cli.models:models", "List, trust and inspect models."),
    "config": ("scoreline.cli.config:config", "Show every setting, its value, and where it comes from."),
}

_INTRODUCTION = """Batch scoring for tabular models: one command, the right rows, never silently wrong.

JOB is the path of a Python file that defines `job`, or the name of one that comes along: nyc_green, nyc_simulated.
PARTITION is a data interval such as 2021-02, 2021-02-28 or 2025-01-18T14Z-2h.

\b
  scoreline check JOB                     is the job sound?
  scoreline run JOB 2021-02               score February 2021
  scoreline run JOB 2021-02 --limit 5 --preview
  scoreline plan JOB                      what is due, and why?
  scoreline backfill JOB 2021-01..2021-12 score what is due of a year
  scoreline status JOB                    what is published?

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 failed (do not retry as is),
2 usage, 3 refused by a gate, 75 temporary (retry).
"""

_OBJECTS = 100_000
"""More of them than before, and Python looks for garbage; by itself it does so every 700."""


class _Lazy(click.Group):
    """Lists commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        if cmd_name != "train":  # which has models fitted
            own_process.one_blas_thread()
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(cls=_Lazy, help=_INTRODUCTION, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="scoreline", message="scoreline %(version)s")
def cli() -> None:
    """The group of all commands."""


def main() -> None:
    """Runs the command line, and turns every error into a message and an exit code."""
    # What is imported stays to the end: to look through it for garbage, again and again, took a tenth of a short run.
    gc.set_threshold(_OBJECTS)
    own_process.claim()
    code = _outcome()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_the_reader()
    sys.exit(code if isinstance(code, int) else 0)


def _outcome() -> Any:
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name("scoreline-terminal")
    # The level is the handler's own: a log file may want more than a terminal.
    handler.setLevel(logging.WARNING)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, format="%(levelname)s %(message)s")
    # What a connection tried before it gave up is told by the error that ends it.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, _cancel)
    output, named = sys.stdout, dict[str, str]()
    try:
        code = cli(standalone_mode=False, obj=named)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except SystemExit as stop:
        # When whoever read the output has gone, which is no failure, click wraps the output and exits with 1.
        code = stop.code if sys.stdout is output else 0
    except click.ClickException as error:
        error.show()
        code = 2
    except (ScorelineError, click.Abort, KeyboardInterrupt, OSError) as error:
        code = _tell(error, named.get("job"))
    except Exception as error:
        if os.environ.get("SCORELINE_DEBUG"):
            raise
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        code = _tell(
            Terminal(
                f"a fault in Scoreline itself: {type(error).__name__}: {error} ({where})",
                hint="please report it with what SCORELINE_DEBUG=1 shows",
            )
        )
    return code


def _cancel(number: int, frame: FrameType | None) -> None:
    del frame
    # A second signal while the first is being obeyed must not interrupt the tidying.
    signal.signal(number, signal.SIG_IGN)
    # Not an Exception: no code between here and the runner takes it for a failure of its own.
    raise KeyboardInterrupt


def _tell(error: BaseException, job: str | None = None) -> int:
    if isinstance(error, click.Abort | KeyboardInterrupt):
        error = Cancelled(
            "cancelled by a signal", hint="run the same command again; scoreline status JOB shows the state"
        )
    if isinstance(error, OSError):
        error = storage_failed(error)
    assert isinstance(error, ScorelineError)
    error.hint = for_job(error.hint, job)
    if "--json" in sys.argv:
        try:
            click.echo(json.dumps({"error": _form(error)}, indent=2))
        except BrokenPipeError:
            _forget_the_reader()
    click.echo(f"error: {error}", err=True)
    return error.exit_code


def _forget_the_reader() -> None:
    """Sends what is left of the output nowhere: the interpreter must not complain at its own end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)


def _form(error: ScorelineError) -> dict[str, Any]:
    return {"type": type(error).__name__, "message": error.message, "hint": error.hint, "exit_code": error.exit_code}
