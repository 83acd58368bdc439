"""Settings: what the environment and a ``.env`` file say, with the origin of each value.

They say how and where, and never what is scored: no setting of this table is part of a job's scoring digest, but for
those that a job takes as its own parameters (`scoreline.parameters.Setting`). Of the process's environment only names
with the prefix ``SCORELINE_`` count, since a plain ``LOG_LEVEL`` may be meant for any program of the machine; in the
``.env`` beside the job, which is written for it, the plain names count too.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scoreline.errors import UsageError
from scoreline.setting_kinds import (
    CRON,
    DAYS,
    LEVELS,
    MILES,
    PATH,
    SECONDS,
    TEXT,
    WAIT,
    Kind,
    file_name,
    http,
    level,
    number,
    switch,
    whole,
)

PREFIX = "SCORELINE_"
DEFAULT = "default"
LEAST_CHUNK = 10_000
"""Rows below which a task of its own costs more than it saves: handing it over, and waking a thread for it."""
_URI = re.compile(r"[a-z][a-z0-9+.-]+:/")
_ORDERED = (("MIN_TRIP_DISTANCE", "MAX_TRIP_DISTANCE"), ("MIN_LOCATION_ID", "MAX_LOCATION_ID"))
_OTHERS = ("DEBUG", "REAL_DATA", "REQUIRE_REAL_DATA")
"""Variables with the prefix that are no settings of a job."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One setting of the table.

    Attributes:
        name: without the prefix.
        kind: of its value.
        default: as text, empty for none.
        effect: what it does, in one sentence.
        plain: whether ``.env`` may name it without the prefix.
        shared: whether the plain name counts in the environment too, because other programs read the same.
    """

    name: str
    kind: Kind
    default: str
    effect: str
    plain: bool = True
    shared: bool = False

    @property
    def variable(self) -> str:
        """The name that ``.env.example`` and the documentation use."""
        return self.name if self.plain else PREFIX + self.name


@dataclass(frozen=True, slots=True)
class Value:
    """What a setting is, and who said so.

    Attributes:
        name: of the setting.
        value: None where nothing is set and there is no default.
        origin: ``default``, the environment variable, the line of ``.env``, the job's file, or ``--set``.
        text: as it was written; empty for none.
    """

    name: str
    value: Any
    origin: str
    text: str

    @property
    def given(self) -> bool:
        """Whether somebody has set it."""
        return self.origin != DEFAULT


@dataclass(frozen=True)
class Settings:
    """All settings, with their origins.

    Attributes:
        values: name -> what it is.
        env_file: the ``.env`` that was looked for, None for none.
        notes: what looks like a mistake: names that nobody reads.
    """

    values: Mapping[str, Value] = field(default_factory=dict)
    env_file: Path | None = None
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        """The value of a setting: of its type, its default where nobody has set it.

        Raises:
            KeyError: there is no such setting.
        """
        return self.told(name).value

    def told(self, name: str) -> Value:
        """The value of a setting, and its origin."""
        return self.values.get(name) or _default(BY_NAME[name])

    def given(self, name: str) -> bool:
        """Whether somebody has set it."""
        return self.told(name).given

    def require_ordered(self) -> None:
        """Refuses a lowest value above the highest; asked when everybody has had a say.

        Raises:
            UsageError: with both origins.
        """
        for low, high in _ORDERED:
            least, most = self.told(low), self.told(high)
            if least.value > most.value:
                raise UsageError(
                    f"{low}={least.text} ({least.origin}) is above {high}={most.text} ({most.origin})",
                    hint="set both, the lowest value first",
                )

    def with_text(self, name: str, text: str, origin: str, folder: Path) -> Settings:
        """These settings, with one of them said by somebody else.

        Raises:
            UsageError: the text is not of the setting's form.
        """
        return replace(self, values={**self.values, name: _value(BY_NAME[name], text, origin, folder)})

    def with_defaults(self, given: Mapping[str, object], origin: str, folder: Path) -> Settings:
        """These settings, with a job's own defaults for what nobody else has set.

        Raises:
            UsageError: there is no such setting, or its value is not of its form.
        """
        settings = self
        for name, value in given.items():
            if name not in BY_NAME or name == "HOME":
                close = difflib.get_close_matches(name, BY_NAME, 1)
                raise UsageError(
                    f"{origin}: {name!r} is no setting that a job may have",
                    hint=f"did you mean {close[0]}?" if close else "scoreline config shows all settings",
                )
            if value is not None and not settings.given(name):
                settings = settings.with_text(name, str(value), origin, folder)
        return settings


TABLE = (
    Declared("MAX_WORKERS", whole(1), "", "workers of the local engine; unset: one for each core; --workers wins"),
    Declared("BATCH_SIZE", whole(1), "32768", "rows per predict call of a model that has no compiled form"),
    Declared(
        "COMPILE",
        Kind("true or false", switch),
        "true",
        "whether models become compiled forms; false: the model itself predicts",
        plain=False,
    ),
    Declared("CHUNK_SIZE", whole(1), "65536", "smallest number of rows worth a task of its own; a lower one is raised"),
    Declared(
        "MEMORY_LIMIT_GB",
        number("a number of gigabytes above 0", 0, above=True),
        "",
        "memory that a run may use: fewer workers, or exit code 75 where not even one fits; unset: the machine's",
    ),
    Declared(
        "CPU_LIMIT_PERCENT",
        number("a percentage above 0, up to 100", 0, 100, above=True),
        "",
        "when the machine is busier, a run waits, then goes on with fewer workers; unset: it does not look",
    ),
    Declared("CPU_WAIT_SECONDS", WAIT, "15", "longest wait for CPU_LIMIT_PERCENT", plain=False),
    Declared(
        "SPLIT_TIMEOUT_SECONDS",
        SECONDS,
        "",
        "longest that a split may take to be scored; then the run ends with exit code 75; unset: any time",
        plain=False,
    ),
    Declared("NUM_TRIPS_PER_BATCH", whole(1, 999_999), "5000", "trips that nyc_simulated makes up for a batch"),
    Declared("MIN_TRIP_DISTANCE", MILES, "0.1", "shortest trip of nyc_simulated, in miles"),
    Declared("MAX_TRIP_DISTANCE", MILES, "50", "longest trip of nyc_simulated, in miles"),
    Declared("MIN_LOCATION_ID", whole(0, 32_767), "1", "lowest taxi zone of nyc_simulated"),
    Declared("MAX_LOCATION_ID", whole(0, 32_767), "263", "highest taxi zone of nyc_simulated"),
    Declared("MODEL_PATH", Kind("a path or a model URI", str, place=True), "", "the model of a job that takes it"),
    Declared("DATA_INPUT_DIR", PATH, "data/input", "where a job that takes it finds its input"),
    Declared("DATA_OUTPUT_DIR", PATH, "data/output", "where a job that takes it publishes"),
    Declared("DATA_PROCESSED_DIR", PATH, "data/processed", "where a job that takes it moves its input"),
    Declared("LOGS_DIR", PATH, "", "folder of the log file; unset: no log file"),
    Declared(
        "LOG_FILE",
        Kind("a file name without a slash", file_name),
        "",
        "name of the log file; unset: JOB.log",
        plain=False,
    ),
    Declared("LOG_LEVEL", Kind(f"one of {', '.join(LEVELS)}", level), "INFO", "least level of what is logged"),
    Declared(
        "LOG_MAX_MB",
        number("a number above 0", 0, above=True),
        "10",
        "size at which a log file is put aside",
        plain=False,
    ),
    Declared("LOG_FILES", whole(1, 1000), "5", "how many log files that were put aside are kept", plain=False),
    Declared("LOG_RETENTION_DAYS", DAYS, "7", "age at which prune removes log files that were put aside"),
    Declared("OUTPUT_RETENTION_DAYS", DAYS, "", "days after publication at which prune expires outputs; unset: never"),
    Declared("ENABLE_METRICS", Kind("true or false", switch), "false", "serve metrics over HTTP during a run"),
    Declared("METRICS_PORT", whole(1, 65_535), "8000", "port of the metrics on 127.0.0.1"),
    Declared("BATCH_SCHEDULE_CRON", CRON, "0 */2 * * *", "when deploy has nyc_simulated run; deploy is not there yet"),
    Declared("CLEANUP_SCHEDULE_CRON", CRON, "0 2 * * *", "when deploy has it cleaned up; deploy is not there yet"),
    Declared(
        "PREFECT_API_URL",
        Kind("an http:// or https:// address", http),
        "",
        "the Prefect server that deploy will use; deploy is not there yet",
        shared=True,
    ),
    Declared(
        "PREFECT_WORK_POOL", TEXT, "default-agent-pool", "the work pool that deploy will use; deploy is not there yet"
    ),
    Declared("HOME", PATH, "", "Scoreline's own folder; unset: .scoreline beside the job file", plain=False),
    Declared("LEASE_SECONDS", SECONDS, "60", "how long a claim holds without a heartbeat", plain=False),
    Declared(
        "HEARTBEAT_SECONDS",
        SECONDS,
        "10",
        "between two heartbeats; a sixth of the lease where that is shorter",
        plain=False,
    ),
    Declared("PARK_SECONDS", SECONDS, "900", "how long a claim holds between two stages", plain=False),
    Declared("WAIT_SECONDS", WAIT, "30", "how long a run waits for another run of its partition", plain=False),
)
"""Every setting, in the order in which people read them."""

BY_NAME = {one.name: one for one in TABLE}


def read_settings(
    environment: Mapping[str, str], env_file: Path | None, folder: Path, working: Path | None = None
) -> Settings:
    """Reads all settings.

    Of what is said twice, this wins, in this order: the environment, a name with the prefix, ``.env``.

    Args:
        environment: of the process.
        env_file: the ``.env``, which need not be there.
        folder: where relative paths in ``.env`` begin: the job's.
        working: where relative paths in the environment begin; by default the working directory.

    Raises:
        UsageError: a value is not of its form, or ``.env`` cannot be read; it names variable, origin and form.
    """
    lines = _env_lines(env_file) if env_file is not None and env_file.is_file() else {}
    values = {}
    for one in TABLE:
        for text, origin, of_user in _said(one, environment, lines, env_file):
            values[one.name] = _value(one, text, origin, (working or Path.cwd()) if of_user else folder)
            break
    return Settings(values, env_file, tuple(_odd_names(environment, lines, env_file)))


def _said(
    one: Declared, environment: Mapping[str, str], lines: Mapping[str, tuple[str, int]], env_file: Path | None
) -> Iterator[tuple[str, str, bool]]:
    """(text, origin, whether it is the process's environment), what wins first; empty text says nothing."""
    for name in (PREFIX + one.name, *([one.name] if one.shared else ())):
        if text := environment.get(name, "").strip():
            yield text, f"environment variable {name}", True
    for name in (PREFIX + one.name, *([one.name] if one.plain else ())):
        text, number = lines.get(name, ("", 0))
        if text:
            yield text, f"{env_file}, line {number}", False


def _env_lines(env_file: Path) -> dict[str, tuple[str, int]]:
    """Name -> (text, line number) of a ``.env``; no ``${...}`` is replaced: a value means what it says."""
    # It takes some 20 ms to import, and most jobs have no such file.
    from dotenv.parser import parse_stream

    try:
        with env_file.open(encoding="utf-8-sig") as stream:
            bindings = list(parse_stream(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{env_file} cannot be read: {error}", hint="make it a readable file in UTF-8") from error
    lines = {}
    for binding in bindings:
        text, number = binding.original.string, binding.original.line
        number += len(text[: len(text) - len(text.lstrip())].splitlines())
        if binding.error:
            raise UsageError(
                f"{env_file}, line {number} is no NAME=value: {masked(text.strip())!r}",
                hint="mend it, or put a # before it",
            )
        if binding.key is not None:
            lines[binding.key] = ((binding.value or "").strip(), number)
    return lines


def _value(one: Declared, text: str, origin: str, folder: Path) -> Value:
    try:
        value = one.kind.read(text)
    except ValueError:
        raise UsageError(
            f"{one.variable}={masked(text)!r} ({origin}) is not {one.kind.form}",
            hint="correct it, or take it out",
        ) from None
    if one.kind.place and not _URI.match(text):
        value = Path(os.path.normpath(folder / Path(text).expanduser()))
    return Value(one.name, value, origin, text)


def _default(one: Declared) -> Value:
    if not one.default:
        return Value(one.name, None, DEFAULT, "")
    value = one.kind.read(one.default)
    return Value(one.name, Path(value) if one.kind.place else value, DEFAULT, one.default)


def _odd_names(
    environment: Mapping[str, str], lines: Mapping[str, tuple[str, int]], env_file: Path | None
) -> Iterator[str]:
    """Names that look like settings and are none, and settings that stand where they do not count."""
    known = {PREFIX + name for name in (*BY_NAME, *_OTHERS)}
    for name in sorted({*environment, *lines}):
        if name.startswith(PREFIX) and name not in known:
            where = f"{env_file}, line {lines[name][1]}" if name in lines else "the environment"
            close = difflib.get_close_matches(name, known, 1)
            yield f"{name} in {where} is no setting" + (f": did you mean {close[0]}?" if close else "")
    for one in TABLE:
        if one.plain and not one.shared and one.name in environment and PREFIX + one.name not in environment:
            yield f"{one.name} in the environment does not count: write {PREFIX}{one.name}, or put it into .env"


_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]+(?=@)")


_QUERY = re.compile(r"(?<=[?&])([^=&#\s]+)=[^&#\s]+")


def masked(text: str) -> str:
    """Text without the passwords and keys of its addresses: ``http://user:***@host/?key=***``."""
    bare = _PASSWORD.sub(r"\1:***", text)
    return _QUERY.sub(r"\1=***", bare) if "://" in bare else bare
