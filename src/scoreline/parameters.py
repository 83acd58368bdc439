"""Parameters: what fills a job function's keyword arguments, from text such as ``--set taxi_type=yellow``.

The annotation decides how text is read. Parameters marked with `Identity` join the job's key in the ledger.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from scoreline.errors import JobError, UsageError
from scoreline.partition import SLUG


class Identity:
    """Marks a parameter that makes another job of it: ``taxi_type: Annotated[str, Identity] = "green"``.

    A job file may define ``job`` as a function with keyword parameters; ``--set taxi_type=yellow`` fills them. Each
    value of a marked parameter has its own history in the ledger, and is a field of path templates: ``{taxi_type}``.
    """


_URI = re.compile(r"[a-z][a-z0-9+]+:/")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def fill(function: Callable[..., Any], texts: Mapping[str, str], folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Keyword arguments for a job function, and those of them that are identity.

    Args:
        function: takes keyword arguments with annotations and defaults.
        texts: parameter name -> text, as given by the user.
        folder: where relative paths in ``texts`` begin.

    Returns:
        (all arguments, identity arguments as text).

    Raises:
        UsageError: an unknown name, a missing value, or text that does not fit the annotation.
        JobError: the function's signature cannot be filled.
    """
    parameters = inspect.signature(function).parameters
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise JobError(
            f"the annotations of the job function cannot be read: {error}",
            hint="import what they name at the top of the job file, not only for type checkers",
        ) from error
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
        kind, is_identity = _annotation(hints.get(name, str))
        if name in texts:
            values[name] = _read(name, texts[name], kind, folder)
        elif parameter.default is parameter.empty:
            raise UsageError(f"the job's parameter {name!r} has no value", hint=f"give --set {name}=VALUE")
        else:
            values[name] = parameter.default
        if is_identity:
            identity[name] = _identity_text(name, values[name])
    return values, identity


def _annotation(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) is not Annotated:
        return hint, False
    kind, *marks = get_args(hint)
    return kind, any(mark is Identity or isinstance(mark, Identity) for mark in marks)


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
