"""Parameters: what fills a job function's keyword arguments, from text such as ``--set taxi_type=yellow``.

The annotation decides how text is read. Parameters marked with `Identity` join the job's key in the ledger.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from scoreline.errors import JobError, UsageError
from scoreline.partition import SLUG
from scoreline.settings import BY_NAME, DEFAULT, Settings, Value


class Identity:
    """Marks a parameter that makes another job of it: ``taxi_type: Annotated[str, Identity] = "green"``.

    A job file may define ``job`` as a function with keyword parameters; ``--set taxi_type=yellow`` fills them. Each
    value of a marked parameter has its own history in the ledger, and is a field of path templates: ``{taxi_type}``.
    """


@dataclass(frozen=True, slots=True)
class Setting:
    """Fills a parameter from a setting: ``num_trips: Annotated[int, Setting("NUM_TRIPS_PER_BATCH")] = 5000``.

    What wins, in this order: ``--set num_trips=...``, the environment, ``.env``, the parameter's own default, and for a
    parameter without one the default of the setting.

    Args:
        name: of the setting, without the prefix ``SCORELINE_``.

    Raises:
        JobError: there is no such setting.
    """

    name: str

    def __post_init__(self) -> None:
        if self.name not in BY_NAME:
            close = difflib.get_close_matches(self.name, BY_NAME, 1)
            raise JobError(
                f"Setting({self.name!r}): there is no such setting",
                hint=f"did you mean {close[0]}?" if close else "scoreline config shows all settings",
            )


_URI = re.compile(r"[a-z][a-z0-9+]+:/")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def fill(
    function: Callable[..., Any], texts: Mapping[str, str], folder: Path, settings: Settings | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Keyword arguments for a job function, and those of them that are identity.

    Args:
        function: takes keyword arguments with annotations and defaults.
        texts: parameter name -> text, as given by the user.
        folder: where relative paths in ``texts`` begin.
        settings: fill the parameters that are marked with `Setting`.

    Returns:
        (all arguments, identity arguments as text).

    Raises:
        UsageError: an unknown name, a missing value, or text that does not fit the annotation.
        JobError: the function's signature cannot be filled.
    """
    parameters, hints = _signature(function)
    unknown = sorted(set(texts) - set(parameters))
    if unknown:
        raise UsageError(
            f"the job has no parameter {', '.join(unknown)}",
            hint=f"its parameters are: {', '.join(parameters) or 'none'}",
        )
    values: dict[str, Any] = {}
    identity: dict[str, str] = {}
    for name, parameter in parameters.items():
        if parameter.kind in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY}:
            raise JobError(f"job parameter {name!r} cannot be filled by name", hint="use plain keyword parameters")
        kind, is_identity, setting = _annotation(hints.get(name, str))
        told = (settings or Settings()).told(setting.name) if setting else None
        if name in texts:
            values[name] = _read(name, texts[name], kind, folder)
        elif told is not None and (told.given or parameter.default is parameter.empty) and told.value is not None:
            values[name] = _from_setting(told, kind, folder)
        elif parameter.default is parameter.empty:
            raise UsageError(f"the job's parameter {name!r} has no value", hint=f"give --set {name}=VALUE")
        else:
            values[name] = parameter.default
        if is_identity:
            identity[name] = _identity_text(name, values[name])
    return values, identity


def told_by(
    function: Callable[..., Any], texts: Mapping[str, str], settings: Settings, folder: Path, of_job: Path
) -> Settings:
    """``settings`` as the job sees them: with what ``--set`` and its parameters' own defaults say.

    Args:
        function: the job function, whose parameters are filled from ``texts`` already.
        texts: parameter name -> text, as given by the user.
        settings: of environment and ``.env``.
        folder: where relative paths in ``texts`` begin.
        of_job: where the job's own relative paths begin.

    Raises:
        UsageError: a text is not of the setting's form.
    """
    parameters, hints = _signature(function)
    for name, parameter in parameters.items():
        setting = _annotation(hints.get(name, str))[2]
        if setting is None:
            continue
        if name in texts:
            settings = settings.with_text(setting.name, texts[name], f"--set {name}", folder)
        elif not (parameter.default is parameter.empty or parameter.default is None or settings.given(setting.name)):
            settings = settings.with_text(setting.name, str(parameter.default), f"the job's parameter {name}", of_job)
    return settings


def _signature(function: Callable[..., Any]) -> tuple[Mapping[str, inspect.Parameter], dict[str, Any]]:
    """The parameters of a job function, and their annotations."""
    parameters = inspect.signature(function).parameters
    try:
        return parameters, get_type_hints(function, include_extras=True)
    except NameError as error:
        raise JobError(
            f"the annotations of the job function cannot be read: {error}",
            hint="import what they name at the top of the job file, not only for type checkers",
        ) from error


def _annotation(hint: Any) -> tuple[Any, bool, Setting | None]:
    """(type, whether it is identity, the setting that fills it)."""
    if get_origin(hint) is not Annotated:
        return hint, False, None
    kind, *marks = get_args(hint)
    setting = next((mark for mark in marks if isinstance(mark, Setting)), None)
    return kind, any(mark is Identity or isinstance(mark, Identity) for mark in marks), setting


def _from_setting(told: Value, kind: Any, folder: Path) -> Any:
    """A setting's value as the annotation wants it; a path is absolute already, but for the default of the table."""
    if isinstance(told.value, Path) and told.origin == DEFAULT:
        return told.text if kind is str else told.value
    return _read(f"{told.name} ({told.origin})", str(told.value), kind, folder)


def _read(name: str, text: str, kind: Any, folder: Path) -> Any:
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        for choice in choices:
            if str(choice) == text:
                return choice
        raise UsageError(f"{name}={text!r} is not one of {', '.join(map(str, choices))}")
    kind = _member(kind, text)
    try:
        if kind is bool:
            return _BOOLEANS[text.lower()]
        if kind is Path:
            return folder / Path(text).expanduser()
        if kind in {int, float}:
            return kind(text)
    except (ValueError, KeyError) as error:
        raise UsageError(f"{name}={text!r} is not of type {kind.__name__}") from error
    return text


def _member(kind: Any, text: str) -> Any:
    """What to read a text as: of a union its first member, or a path where it may be a URI or a path and is no URI."""
    members = [one for one in get_args(kind) if one is not type(None)]
    if {str, Path} <= set(members):
        return str if _URI.match(text) else Path
    return next(iter(members), kind)


def _identity_text(name: str, value: Any) -> str:
    text = str(value)
    if not SLUG.match(text) or "=" in text:
        raise UsageError(
            f"{name}={text!r} cannot be part of a job's identity",
            hint="use 1 to 128 of the characters A-Z a-z 0-9 . _ -",
        )
    return text
