"""``scoreline models``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scoreline.cli import options

if TYPE_CHECKING:
    from scoreline.abc import ModelVersion
    from scoreline.audit import KnownModel
    from scoreline.models.path_store import PathStore
    from scoreline.models.trust import Trust

_JOB = click.option("--job", metavar="JOB", help="The job whose home keeps the record; else SCORELINE_HOME.")
_JOB_OF_FORMS = click.option(
    "--job", metavar="JOB", help="The job that says what is trusted, and whose home keeps compiled forms."
)
_WIDTH = 10
_MODEL = click.argument("model")


@click.group()
def models() -> None:
    """List, trust and inspect models.

    A pickle runs code when it is loaded, so Scoreline loads only what somebody has trusted: a digest by `models trust`,
    or the files of a folder that the job names in trust= and that only its owner can write to.
    """


@models.command()
@_MODEL
@_JOB
@options.SET
@options.JSON
def trust(model: str, job: str | None, settings: tuple[str, ...], *, as_json: bool) -> None:
    """Trust MODEL as it is now, by its digest: a file, a folder, or a URI such as models:/name@champion."""
    from scoreline.cli import show

    version, store = _resolved(model, job, settings)
    entry = store.trust.add(version.digest, version.uri)
    if as_json:
        show.print_json(entry)
    else:
        click.echo(
            f"trusted {entry['digest']}\n  {entry['path']}, by {entry['by']} on {entry['host']} at {entry['at']}"
        )


@models.command()
@_MODEL
@_JOB_OF_FORMS
@options.SET
@options.JSON
def inspect(model: str, job: str | None, settings: tuple[str, ...], *, as_json: bool) -> None:
    """Show what MODEL (a file, a folder or a URI) is, and what becomes of it on load.

    Unless it is trusted, it is not loaded: only the names that it would import are read. A skops file whose types are
    all known runs no code and needs no trust, nor does a file of XGBoost, LightGBM or ONNX. What runs have compiled and
    compared is told by the home of --job, else by SCORELINE_HOME, else by that of jobs that come along.
    """
    from scoreline.cli import show
    from scoreline.models.inspect import inspected

    version, store = _resolved(model, job, settings, home_needed=model.startswith(("models:", "runs:")))
    facts = inspected(version, store.trust_reason(version), store.forms(version))
    if as_json:
        show.print_json(facts)
        return
    compiled = facts.pop("compiled")
    for name, value in facts.items():
        if value not in ("", []):
            _line(name, ", ".join(map(str, value)) if isinstance(value, list) else value)
    _print_compiled(compiled, "no" if "kind" in facts else "not known")
    if facts["trusted"] == "no" and job is None:
        _line("note", f"asked was {store.trust.record}; whose folders are trusted a job says: --job JOB")


def _print_compiled(compiled: dict[str, Any], without: str) -> None:
    _line("compiled", compiled["form"] or f"{without}: {compiled['why']}")
    for form in compiled["kept"]:
        told = ", damaged: the next run makes it anew" if "damaged" in form else f", predict={form['predict']}"
        left = "" if form["current"] else ", not read any more: made by other versions"
        _line("form", f"{form['path']}, {form['bytes']:,} bytes, {form['at']}{told}{left}")
        for one in form.get("parity", ()) if form["current"] else ():
            types = ", ".join(f"{name} {kind}" for name, kind in one["types"].items())
            found = f"{one['detail']} on {one['rows']:,} rows, largest difference {one['max_difference']:.2g}"
            _line("parity", f"{found}, {one['at']}: {types}")
    for one in compiled["disagreements"]:
        _line("disagreed", f"{one['rows']:,} rows, {one['at']}: {one['path']}")


def _line(name: str, value: object) -> None:
    click.echo(f"{name:<{_WIDTH}} {value}")


@models.command("list")
@_JOB
@options.SET
@options.JSON
def list_(job: str | None, settings: tuple[str, ...], *, as_json: bool) -> None:
    """List the models that runs have used: what they are, what they scored, and why they may be loaded.

    With --job, those of this job; else all of the ledger in SCORELINE_HOME.
    """
    from scoreline.assemble import recorded
    from scoreline.audit import models_known
    from scoreline.cli import show

    store, name = _store(job, settings)
    wanted = None if name is None else lambda key: key == name or key.startswith(f"{name}[")
    found = models_known(recorded(store.home), store.home, wanted)
    # Which folders are trusted is the job's to say.
    trusted = [
        _trusted(store, one) or ("no" if job else "not by digest (--job JOB knows its folders)") for one in found
    ]
    if as_json:
        show.print_json([one.to_dict() | {"trusted": why} for one, why in zip(found, trusted, strict=True)])
    elif found:
        columns = ("version", "digest", "kind", "partitions", "last used", "copy", "trusted", "uri")
        show.print_table(columns, [_row(one, why) for one, why in zip(found, trusted, strict=True)])
    else:
        click.echo(f"no models used yet in {store.home}")


def _row(one: KnownModel, trusted: str) -> tuple[str, ...]:
    size = f"{one.kept_bytes:,} bytes" if one.kept else "none"
    used = f"{one.last_used[:19]}Z"
    return (one.version, one.digest[:12], one.kind, f"{len(one.partitions):,}", used, size, trusted, one.uri)


def _trusted(store: PathStore, one: KnownModel) -> str:
    """Why a model may be loaded, "needs none", or "" when it may not."""
    from scoreline.abc import ModelVersion
    from scoreline.errors import ScorelineError
    from scoreline.models.kinds import SKOPS, needs_no_trust
    from scoreline.models.loading import untrusted_types

    if one.uri.startswith("function:/"):
        return "the job's own code"
    path = Path(one.path)
    places = [place for place in (Path(one.kept) if one.kept else path, path) if place.exists()]
    try:
        if reason := store.trust_reason(ModelVersion(one.uri, one.digest, one.version, path, one.kept_bytes)):
            return reason
        if any(needs_no_trust(file) for place in places[:1] for file in _files(place)):
            return "needs none"
        found = [file for place in places[:1] for file in ([place] if place.is_file() else place.rglob(f"*{SKOPS}"))]
        skops = [file for file in found if file.suffix.lower() == SKOPS]
        # Whatever has scored a partition has passed this question, which takes seconds to ask.
        if skops and (one.partitions or not any(map(untrusted_types, skops))):
            return "needs none"
    except (ScorelineError, OSError):
        pass
    return ""


def _files(place: Path) -> list[Path]:
    """The model file of a place: of a model's folder, or of the folder that a bare file is kept in."""
    from scoreline.errors import ModelInvalid
    from scoreline.models.folder import read_folder

    if place.is_file():
        return [place]
    try:
        return [place / read_folder(place).model]
    except ModelInvalid:
        return [file for file in place.iterdir() if file.is_file() and not file.name.startswith(".")][:1]


def _store(job: str | None, settings: tuple[str, ...], *, home_needed: bool = True) -> tuple[PathStore, str | None]:
    """The store of models, and the name of the jobs that are meant, None for all."""
    from scoreline.config import load
    from scoreline.models.path_store import PathStore

    known = _trust(job, settings, home_needed=home_needed)
    if job is None:
        return PathStore(known.home, known.home, known), None
    loaded = load(job, settings=options.parsed(settings))
    return PathStore(loaded.folder, loaded.home, known), loaded.job.key if settings else loaded.job.name


def _resolved(
    model: str, job: str | None, settings: tuple[str, ...], *, home_needed: bool = True
) -> tuple[ModelVersion, PathStore]:
    """What a model that somebody typed is now; a path begins at the working directory."""
    from scoreline.assemble import store_in
    from scoreline.models.folder import is_uri

    known, _ = _store(job, settings, home_needed=home_needed)
    store = store_in(known.base, known.home, known.trust, known.trust_command)
    typed = model if is_uri(model) else str(Path(model).expanduser().absolute())
    return store.resolve(typed), store.paths


def _trust(job: str | None, settings: tuple[str, ...], *, home_needed: bool) -> Trust:
    from scoreline.config import home_named, home_of_user, load
    from scoreline.models.trust import Trust, folders_of

    if job is not None:
        loaded = load(job, settings=options.parsed(settings))
        return Trust(loaded.home, folders_of(loaded.folder, loaded.job.trust))
    if home := home_named() or (None if home_needed else home_of_user()):
        return Trust(home)
    raise click.UsageError("name the job with --job JOB, or set SCORELINE_HOME")
