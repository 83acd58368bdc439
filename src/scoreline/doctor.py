"""Doctor: what is wrong with an installation or a job, and the next command for each thing that is.

It looks and never acts: no run, no pickle, no ledger or folder made. One broken thing hides no other, so each question
is asked by itself, and an error is an answer.
"""

from __future__ import annotations

import shlex
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from scoreline import health
from scoreline.abc import Ledger, ModelVersion
from scoreline.assemble import LEDGER, folder_of, ledger_of, model_store, output_folder
from scoreline.assembly import Assembly
from scoreline.card import differing, read_card
from scoreline.config import Loaded
from scoreline.errors import LedgerFailed, ModelUntrusted, ScorelineError, for_job
from scoreline.health import OK, PROBLEM, WARNING, Finding
from scoreline.linting import lint
from scoreline.models.folder import read_folder
from scoreline.models.kinds import LIBRARIES, extra_of, kind_of, read_native
from scoreline.models.pair import read_pair
from scoreline.models.trust import folders_of, writable_by_others

_UNFINISHED = ("running", "prepared")
_SHOWN = 5
_PATIENCE = 2.0
"""Seconds to wait for whoever writes to the ledger; a write takes milliseconds."""


def of_home(home: Path, name: str = "JOB") -> Iterator[Finding]:
    """Scoreline's own folder, its disk, ledger and record of trust; ``name`` is the job's, for commands."""
    yield health.folder("home", home)
    yield health.disk("home disk", home)
    yield from _asked("ledger", lambda: _ledger(home), name)
    yield from _asked("trust", lambda: _record_of_trust(home), name)


def of_job(loaded: Loaded, name: str, assemble: Callable[[], Assembly]) -> Iterator[Finding]:
    """All that can go wrong with a job before it runs.

    Args:
        loaded: the job.
        name: as the user typed it.
        assemble: puts the job together, for its source.
    """
    check = shlex.join(["scoreline", "check", name])
    told = lint(loaded.job)
    yield from (Finding("declaration", PROBLEM, sentence, check) for sentence in told)
    if not told:
        yield Finding("declaration", OK, loaded.job.key)
    yield from of_home(loaded.home, name)
    yield from _asked("trust", lambda: _trusted_folders(loaded), name)
    yield from _asked("input", lambda: _input(loaded, name, assemble), name)
    for position in range(len(loaded.job.sink_files)):
        yield from _output(output_folder(loaded, position))
    yield from _asked("model", lambda: _model(loaded, name), name)
    if (loaded.home / LEDGER).is_file():
        yield from _asked("runs", lambda: _runs(loaded, name), name)


def _asked(what: str, question: Callable[[], Iterator[Finding]], job: str) -> Iterator[Finding]:
    try:
        yield from question()
    except ScorelineError as error:
        yield Finding(what, PROBLEM, error.message, for_job(error.hint, job))
    except OSError as error:
        place = shlex.quote(str(error.filename or "."))
        yield Finding(what, PROBLEM, f"{error.strerror}: {place}", f"ls -ld {place}")


def _ledger(home: Path) -> Iterator[Finding]:
    path = home / LEDGER
    if not path.exists():
        yield Finding("ledger", OK, "none yet; the first run makes it")
        return
    said = _integrity(path)
    if said != "ok":
        raise LedgerFailed(
            f"{path} is damaged: {said}",
            hint=shlex.join(["mv", str(path), f"{path}.damaged"]) + ", then restore it from a backup",
        )
    if _is_locked(path):
        yield Finding(
            "ledger",
            WARNING,
            f"another process is writing to {path}, or was stopped while it did",
            "ps -e -o pid,stat,lstart,args | grep [s]coreline",
        )
        return
    newest = ledger_of(home).runs(limit=1)  # refuses network file systems and what a newer Scoreline wrote
    if newest and datetime.fromisoformat(newest[0].updated_at) > datetime.now(UTC):
        yield Finding("ledger", WARNING, f"its newest run is of the future: {newest[0].updated_at}", "timedatectl")
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        mode = db.execute("PRAGMA journal_mode").fetchone()[0]
    if mode != "wal":
        yield Finding("ledger", WARNING, f"{path} has no write-ahead log ({mode})", f"ls -l {shlex.quote(str(home))}")
    else:
        yield Finding("ledger", OK, f"{path} is whole")


def _integrity(path: Path) -> str:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as db:
            return str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        return str(error)


def _is_locked(path: Path) -> bool:
    with closing(sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)) as db:
        try:
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            return error.sqlite_errorcode == sqlite3.SQLITE_BUSY
        db.execute("ROLLBACK")
    return False


def _record_of_trust(home: Path) -> Iterator[Finding]:
    record = home / "trusted.jsonl"
    if record.exists():
        open_to = writable_by_others(record, home)
        yield _closed(open_to) if open_to else Finding("trust", OK, f"{record} is its owner's alone")


def _trusted_folders(loaded: Loaded) -> Iterator[Finding]:
    for folder in folders_of(loaded.folder, loaded.job.trust):
        if not folder.is_dir():
            command = shlex.join(["mkdir", "-m", "755", "-p", str(folder)])
            yield Finding("trust", WARNING, f"the trusted folder {folder} is not there", command)
        elif open_to := writable_by_others(folder, folder):
            yield _closed(open_to)
        else:
            yield Finding("trust", OK, f"files in {folder} are trusted")


def _closed(open_to: list[str]) -> Finding:
    modes = all(Path(one).stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH) for one in open_to)
    command = shlex.join(["chmod", "go-w", *open_to] if modes else ["ls", "-ld", *open_to])
    return Finding("trust", PROBLEM, f"others can write to {', '.join(open_to)}, so nothing there is trusted", command)


def _input(loaded: Loaded, name: str, assemble: Callable[[], Assembly]) -> Iterator[Finding]:
    folder = folder_of(loaded, loaded.job.source)
    filling = shlex.join(["scoreline", "simulate", name, "PARTITION"]) if loaded.job.simulate else None
    if not folder.is_dir():
        command = filling or shlex.join(["mkdir", "-p", str(folder)])
        yield Finding("input", PROBLEM, f"the folder {folder} is not there", command)
        return
    found = assemble().source.partitions()
    if not found:
        yield Finding(
            "input",
            WARNING,
            f"nothing in {folder} matches {loaded.job.source.path!r}",
            filling or f"ls {shlex.quote(str(folder))}",
        )
    else:
        yield Finding("input", OK, f"{len(found):,} partitions: {found[0]} to {found[-1]}")


def _output(folder: Path) -> Iterator[Finding]:
    yield health.folder("output", folder)
    yield health.disk("output disk", folder)
    there, beside = folder.resolve(), folder.absolute().parent
    if there.is_dir() and there.stat().st_dev != health.nearest(beside).stat().st_dev:
        yield Finding(
            "output",
            PROBLEM,
            f"{folder} is on another file system than {beside}, where staged files lie: no single step moves them",
            f"df {shlex.quote(str(folder))} {shlex.quote(str(beside))}, then let under= name a folder inside of one",
        )


def _model(loaded: Loaded, name: str) -> Iterator[Finding]:
    uri = str(loaded.job.model)
    if uri.startswith(("runs:", "models:")):
        yield from _extra("mlflow")
    store = model_store(loaded)
    if loaded.job.function is not None and uri.startswith("function:/"):
        own: ModelVersion = store.resolve(uri)
        yield Finding(
            "model", OK, f"the function {loaded.job.function.__name__} of {own.path}, digest {own.digest[:12]}"
        )
        return
    try:
        version: ModelVersion = store.resolve(uri)
    except ScorelineError:
        yield from _extra(extra_of(Path(uri)))
        raise
    file = version.path / read_folder(version.path).model if version.path.is_dir() else version.path
    yield from _extra(extra_of(file))
    called = {"sklearn": "scikit-learn"}.get(kind_of(file), kind_of(file))
    yield Finding("model", OK, f"{version.path}, {called}, digest {version.digest[:12]}, {version.size:,} bytes")
    try:
        reason = store.paths.may_be_loaded(version)
    except ModelUntrusted as error:
        command = (error.hint or "").partition(": ")[2]
        yield Finding("model", PROBLEM, error.message, command)
        return
    yield Finding("model", OK, reason)
    if kind_of(file) in LIBRARIES:
        yield _native(file)
        return
    yield from _versions(version, shlex.join(["scoreline", "check", name]))


def _native(file: Path) -> Finding:
    """What a model in its library's own format is; reading it runs no code of it."""
    about = read_native(file.read_bytes(), str(file)).about()
    told = [f"{about['features']} features"] if about.get("features") else []
    told += [f"reads {', '.join(about['inputs'])}"] if about["inputs"] else []
    told += [f"classes {', '.join(about['classes'])}"] if about.get("classes") else []
    made = [f"made with {name} {one}" for name, one in about.get("made_with", {}).items()]
    return Finding("model", OK, "; ".join([about["kind"], *told, f"predicts {about['predicts']}", *made]))


def _extra(name: str) -> Iterator[Finding]:
    if missing := health.missing_from(name):
        said = f"the job's model needs {', '.join(missing)}, not installed"
        yield Finding("extras", PROBLEM, said, f"pip install 'scoreline[{name}]'")


def _versions(version: ModelVersion, check: str) -> Iterator[Finding]:
    """What is known of the versions that made a model, without loading it."""
    made_with: dict[str, str] = {}
    golden, pair = False, None
    if version.path.is_dir():
        card = read_card(version.path)
        made_with = read_folder(version.path).made_with | (card.made_with if card else {})
        golden = card is not None and card.golden is not None
    elif version.path.suffix.lower() != ".skops":
        pair = read_pair(version.path.read_bytes(), str(version.path))
        made_with = {"scikit-learn": pair.version} if pair else {}
    changed = ", ".join(f"{name} {then} (now {now})" for name, (then, now) in differing(made_with).items())
    if changed and (golden or pair):
        how = "its golden rows are scored before each run" if golden else "it is read by structure, and checked"
        yield Finding("versions", WARNING, f"the model was made with {changed}; {how}", check)
    elif changed:
        yield Finding(
            "versions",
            WARNING,
            f"the model was made with {changed}, and has no golden rows",
            f"{check} --accept-version, if you know that it scores the same",
        )
    elif made_with:
        yield Finding("versions", OK, "the model was made with the versions that are installed")
    else:
        yield Finding("versions", OK, f"the file says nothing of its versions until it is loaded: {check}")


def _runs(loaded: Loaded, name: str) -> Iterator[Finding]:
    ledger = ledger_of(loaded.home)
    stuck = list(_stuck(ledger, loaded.job.key, name))
    yield from stuck[:_SHOWN]
    working = any(ledger.runs(loaded.job.key, state=state, limit=1) for state in _UNFINISHED)
    left = [] if working else _left(loaded)
    if left:
        command = shlex.join(["scoreline", "status", name])
        yield Finding("staging", WARNING, f"{len(left)} leftovers of runs that ended, such as {left[0]}", command)
    if not stuck and not left:
        yield Finding("runs", OK, "none is stuck, and nothing is left over")


def _stuck(ledger: Ledger, key: str, name: str) -> Iterator[Finding]:
    """Runs that nobody works on any more, although the ledger has them as unfinished."""
    for state in _UNFINISHED:
        for run in ledger.runs(key, state=state):
            holder = ledger.holder(run.job, run.partition)
            again = shlex.join(["scoreline", "run", name, run.partition, *run.facts.get("invocation", ())])
            if holder is None:
                yield Finding(
                    "runs", WARNING, f"run {run.run_id} of {run.partition} was {state}; its lease ended", again
                )
            elif holder.owner is not None and holder.owner.is_dead():
                said = f"run {run.run_id} of {run.partition} is held by {holder.owner}, which has ended"
                yield Finding("runs", WARNING, said, again)


def _left(loaded: Loaded) -> list[Path]:
    """Staged files of all outputs."""
    places = []
    for position in range(len(loaded.job.sink_files)):
        folder = output_folder(loaded, position)
        places += [folder / ".scoreline", *folder.glob(".*.scoreline"), folder.with_name(f".{folder.name}.scoreline")]
    staged = [place / "staging" for place in places] + [loaded.home / "work"]
    found = [path for place in staged for path in place.rglob("*") if path.is_file()]
    kept = {
        Path(made.staged)
        for run in ledger_of(loaded.home).runs(loaded.job.key, state="refused")
        for made in run.prepared
    }
    return sorted(set(found) - kept)
