"""Configuration: a job from a Python file, with the settings that hold for it.

Relative paths in a job begin at its file's folder; paths that a user types begin at the working directory. Scoreline's
own folder (its home) lies beside the job file unless ``SCORELINE_HOME`` says otherwise, never in the working directory:
two shells must meet the same ledger. Settings come from the environment and from the ``.env`` beside the job file; a
job that comes along has its ``.env`` in its home.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Mapping
from contextlib import AbstractContextManager, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CodeType, ModuleType

from scoreline.assembly import Limits, command
from scoreline.catalog import JOBS, job_file
from scoreline.errors import JobError, ScorelineError, UsageError
from scoreline.job import Job
from scoreline.neighbours import importable
from scoreline.parameters import fill, told_by
from scoreline.settings import PREFIX, Settings, read_settings

HOME = ".scoreline"
_URI = re.compile(r"[a-z][a-z0-9+.-]+:/")
ENV_FILE = ".env"
_HOME_VARIABLE = f"{PREFIX}HOME"


JobLike = Job | str | os.PathLike[str]
"""A job, or the path of a file that defines one, or a name in the catalog."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A job, and where it comes from.

    Attributes:
        job: the declaration, its parameters filled.
        folder: where its relative paths begin.
        home: Scoreline's folder.
        file: the job's file, None for a job made in Python.
        invocation: the options that made this job of the file, as typed.
        settings: that hold for it.
    """

    job: Job
    folder: Path
    home: Path
    file: Path | None = None
    invocation: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)

    def command(self, words: str, *rest: object) -> str:
        """What to type next for this job, with the options that made it."""
        return command(self.file, words, *rest, invocation=self.invocation)

    @property
    def neighbours(self) -> Path:
        """Where the job's own functions may import from."""
        return self.file.parent if self.file else self.folder


def load(
    job: JobLike,
    *,
    settings: Mapping[str, str] | None = None,
    model: str | os.PathLike[str] | None = None,
    home: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Loaded:
    """A job ready to be assembled.

    Args:
        job: a `Job`, or the path of a Python file that defines ``job`` (or of a folder with a ``job.py``), or the name
            of a job in the catalog, which comes before a file of that name: write ``./name`` for that.
        settings: parameter -> text, for a file whose ``job`` is a function.
        model: overrides the job's model: a path relative to the working directory, or a URI.
        home: overrides Scoreline's folder.
        environment: by default the process's own.

    Raises:
        UsageError: no such file or parameter, or no home can be told.
        JobError: the file cannot be imported, or defines no job.
    """
    environment = os.environ if environment is None else environment
    if isinstance(job, Job):
        loaded = _made_in_python(job, home, environment)
    else:
        file = _file_of(job)
        place = _place(file, home, environment)
        made, told = _job_of(import_job_file(file), file, settings or {}, place)
        options = tuple(part for name, text in (settings or {}).items() for part in ("--set", f"{name}={text}"))
        loaded = Loaded(made, place.folder, place.home, file, options, told)
    of_job = loaded.settings.with_defaults(loaded.job.settings, "the job's settings", loaded.folder)
    of_job.require_ordered()
    loaded = replace(loaded, settings=of_job)
    if model is not None:
        uri = str(model)
        chosen_model = replace(loaded.job, model=uri if _URI.match(uri) else Path(model).expanduser().absolute())
        loaded = replace(loaded, job=chosen_model, invocation=(*loaded.invocation, "--model", str(model)))
    return loaded


def home_of(job: str | os.PathLike[str], environment: Mapping[str, str] | None = None) -> Path:
    """Scoreline's folder for a job file, without importing it."""
    return _place(_file_of(job), None, os.environ if environment is None else environment).home


def home_named(environment: Mapping[str, str] | None = None) -> Path | None:
    """The folder that SCORELINE_HOME names, for commands that need no job; None when it is unset."""
    named = (os.environ if environment is None else environment).get(_HOME_VARIABLE)
    return Path(named).expanduser().absolute() if named else None


@dataclass(frozen=True)
class _Place:
    """Where the relative paths of a job file begin, its home, and the settings that hold there."""

    folder: Path
    home: Path
    settings: Settings


def _made_in_python(job: Job, home: str | os.PathLike[str] | None, environment: Mapping[str, str]) -> Loaded:
    chosen = home or environment.get(_HOME_VARIABLE)
    if not chosen:
        raise UsageError(
            "a job made in Python has no folder of its own for its ledger",
            hint="give home=..., or set SCORELINE_HOME, or put the job into a file and give its path",
        )
    own = Path(chosen).expanduser().absolute()
    return Loaded(job, own.parent, own, settings=read_settings(environment, own.parent / ENV_FILE, own.parent))


def _place(file: Path, home: str | os.PathLike[str] | None, environment: Mapping[str, str]) -> _Place:
    chosen = home or environment.get(_HOME_VARIABLE)
    own = Path(chosen).expanduser().absolute() if chosen else None
    if _comes_along(file):
        # What comes along with Scoreline lies where nobody may write: its relative paths begin in its home.
        own = own or _home_of_the_user(file, environment)
        folder = own / file.parent.name
        settings = read_settings(environment, own / ENV_FILE, folder)
        if settings.given("HOME") and settings["HOME"] != own and not chosen:
            raise UsageError(
                f"{own / ENV_FILE} sets SCORELINE_HOME, but it is read from there",
                hint="set SCORELINE_HOME in the environment instead",
            )
        return _Place(folder, own, settings)
    settings = read_settings(environment, file.parent / ENV_FILE, file.parent)
    return _Place(file.parent, own or settings["HOME"] or file.parent / HOME, settings)


def home_of_user(environment: Mapping[str, str] | None = None) -> Path | None:
    """The home of jobs that come along: where the user's programs keep their state; None where that cannot be told."""
    environment = os.environ if environment is None else environment
    state, user = (Path(environment.get(name, "")) for name in ("XDG_STATE_HOME", "HOME"))
    if state.is_absolute():
        return state / "scoreline"
    if user.is_absolute():
        return user / ".local" / "state" / "scoreline"
    return None


def _home_of_the_user(file: Path, environment: Mapping[str, str]) -> Path:
    if home := home_of_user(environment):
        return home
    raise UsageError(
        f"there is no folder for the ledger of {file.parent.name}: neither SCORELINE_HOME nor HOME is set",
        hint="set SCORELINE_HOME to a folder that stays, such as SCORELINE_HOME=/var/lib/scoreline",
    )


def _comes_along(file: Path) -> bool:
    return file == job_file(file.parent.name)


def _file_of(job: str | os.PathLike[str]) -> Path:
    if isinstance(job, str) and (known := job_file(job)):
        return known
    file = Path(job).expanduser().absolute()
    return file / "job.py" if file.is_dir() else file


def import_job_file(file: Path) -> ModuleType:
    """Imports a job's file under a name that is the same in every process, so that its objects unpickle.

    Raises:
        UsageError: there is no such file.
        JobError: its code raises.
    """
    if not file.is_file():
        names = ", ".join(JOBS)
        raise UsageError(
            f"there is no job file at {file}",
            hint=f"give the path of a Python file that defines `job`, or one of: {names}",
        )
    name = f"scoreline_job_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{file} is no Python file", hint="give the path of a file that ends in .py")
    # Imported anew each time: an edited file, or an edited neighbour of it, counts in a long-lived session too.
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        # Not by the loader: its cache of bytecode misses an edit of the same length within a second.
        code = _compiled(file.read_bytes(), file)
        with importable(file.parent), _printing_aside():
            exec(code, vars(module))  # noqa: S102 - whoever runs a job runs its file
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        if isinstance(error, ScorelineError):
            raise
        raise JobError(f"{file} cannot be imported: {_where(error, file)}") from error
    return module


@functools.lru_cache(maxsize=4)
def _compiled(source: bytes, file: Path) -> CodeType:
    return compile(source, file, "exec")


def limits(settings: Settings, *, wait: bool = True) -> Limits:
    """Times of claims, as the settings have them."""
    lease, beat = settings["LEASE_SECONDS"], settings["HEARTBEAT_SECONDS"]
    return Limits(
        lease=lease,
        heartbeat=beat if beat < lease else lease / 6,
        park=settings["PARK_SECONDS"],
        wait=settings["WAIT_SECONDS"] if wait else 0.0,
    )


def _job_of(module: ModuleType, file: Path, texts: Mapping[str, str], place: _Place) -> tuple[Job, Settings]:
    """The job of an imported file, and the settings as it sees them."""
    found = getattr(module, "job", None)
    if found is None:
        raise JobError(
            f"{file} defines no `job`", hint="define `job = Job(...)`, or a function `job(...)` that returns one"
        )
    if isinstance(found, Job):
        if texts:
            raise UsageError(
                f"the job in {file} has no parameters, so --set cannot change it",
                hint="make `job` a function with annotated keyword parameters that returns a Job",
            )
        return found, place.settings
    if not callable(found):
        raise JobError(
            f"`job` in {file} is a {type(found).__name__}", hint="make it a Job, or a function that returns one"
        )
    values, identity = fill(found, texts, Path.cwd(), place.settings)
    try:
        with importable(file.parent), _printing_aside():
            made = found(**values)
    except ScorelineError:
        raise
    except (Exception, SystemExit) as error:
        raise JobError(f"the function job in {file} failed: {_where(error, file)}") from error
    if not isinstance(made, Job):
        raise JobError(f"the function job in {file} returned a {type(made).__name__}, not a Job")
    told = told_by(found, texts, place.settings, Path.cwd(), place.folder)
    return replace(made, identity=tuple(sorted(identity.items()))), told


def _printing_aside() -> AbstractContextManager[object]:
    """What a job's file prints is no result of a command."""
    return redirect_stdout(sys.stderr)


def _where(error: BaseException, file: Path) -> str:
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    place = f"line {lines[-1]}: " if lines else ""
    return f"{place}{type(error).__name__}: {error}"
