"""Template: a path with named fields, such as ``{taxi_type}_tripdata_{yyyy}-{mm}.parquet``.

It renders paths from a partition, and finds the partitions that a listing of paths holds. Values come from the driver
and are refused when they could leave their place in the path. It must not know the file system.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from scoreline.errors import UsageError
from scoreline.partition import Grid, Partition

_VALUE = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._=+-]{1,128}\Z")
_DIGITS = {"yyyy": 4, "mm": 2, "dd": 2, "hh": 2}
_DIRECTIVES = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2, "y": 2, "j": 3}
_SHORT = ("m", "d", "h")
_BOUNDS = ("start", "end")
_DAY = "%Y-%m-%d"
_WILD = {"*", "?"}
TIME_FIELDS = (*_DIGITS, *_SHORT, "slug", *_BOUNDS)


@dataclass(frozen=True, slots=True)
class Template:
    """A relative path with fields.

    Fields of the partition: ``{slug}``, ``{yyyy} {mm} {dd} {hh}`` (padded) and ``{m} {d} {h}`` (not padded) of its
    start, ``{start:%Y%m%d_%H%M%S}`` and ``{end:...}`` with a strftime form. All other fields are given by the driver:
    ``{job}``, ``{model_version}``, ``{model_digest}`` and the job's identity parameters. ``*`` and ``?`` stand for
    anything within one name (sources only).

    Raises:
        UsageError: an absolute path, ``..``, unbalanced braces, or an unnamed field.
    """

    text: str

    def __post_init__(self) -> None:
        try:
            pieces = self._pieces()
        except ValueError as error:
            raise UsageError(
                f"the path template {self.text!r} cannot be read: {error}", hint="write fields as {name}"
            ) from error
        if not self.text or self.text.startswith("/") or ".." in self.text.split("/"):
            raise UsageError(
                f"the path template {self.text!r} must be a relative path without '..'",
                hint="put the folder into under=, and the rest into the template",
            )
        for _, field, form in pieces:
            if field is not None and (not field.isidentifier() or (form and field not in _BOUNDS)):
                raise UsageError(
                    f"the path template {self.text!r} has an unusable field {field!r}",
                    hint="write {name}; only {start:%Y-%m} and {end:%Y-%m} take a form",
                )

    @property
    def fields(self) -> frozenset[str]:
        """Names of all fields."""
        return frozenset(field for _, field, _ in self._pieces() if field)

    @property
    def has_wildcard(self) -> bool:
        """True when one partition may have several files."""
        return any("*" in text or "?" in text for text, _, _ in self._pieces())

    @property
    def is_ambiguous(self) -> bool:
        """True when a wildcard can take characters of a field: one partition's pattern then finds another's files."""
        before = None
        for text, field, _ in self._pieces():
            after, ahead = text.partition("/")[0], text.rpartition("/")[2]
            if (before in _SHORT and after[:1] in _WILD) or (field in _SHORT and ahead[-1:] in _WILD):
                return True
            if (before == "slug" and _WILD & set(after)) or (field == "slug" and _WILD & set(ahead)):
                return True
            before = field
        return False

    @property
    def depth(self) -> int:
        """Folders between the fixed one and the file."""
        return self.text.count("/") - (self.fixed_folder.count("/") + 1 if self.fixed_folder else 0)

    @property
    def fixed_folder(self) -> str:
        """The folders before the first field or wildcard, '' when there are none."""
        head = re.split(r"[{*?]", self.text, maxsplit=1)[0]
        return head.rpartition("/")[0]

    @property
    def fixed_prefix(self) -> str:
        """The same as paths begin with it: '' or with a slash at its end."""
        return f"{self.fixed_folder}/" if self.fixed_folder else ""

    def render(self, partition: Partition, values: Mapping[str, str]) -> str:
        """The path (or glob, with wildcards) of one partition.

        Raises:
            UsageError: a field has no value, or its value could leave its place in the path.
        """
        known = {**_of_partition(partition), **values}
        parts = []
        for text, field, form in self._pieces():
            parts.append(text)
            if field is not None:
                parts.append(self._value(field, form, partition, known))
        return "".join(parts)

    def matches(self, path: str) -> bool:
        """Whether ``path`` is what a template without fields stands for."""
        return re.fullmatch(_glob_pattern(self.text), path) is not None

    def partition_of(self, path: str, grid: Grid, values: Mapping[str, str]) -> Partition | None:
        """The partition whose rendered template matches ``path``, or None."""
        match = re.compile(self._pattern(values)).fullmatch(path)
        if not match:
            return None
        try:
            partition = _from_fields(match.groupdict(), grid)
            rendered = Template(self.text).render(partition, {**values, **_others(match.groupdict())})
        except (UsageError, ValueError, OverflowError):
            return None
        return partition if re.fullmatch(_glob_pattern(rendered), path) else None

    def _pieces(self) -> list[tuple[str, str | None, str]]:
        return [(text, field, form or "") for text, field, form, _ in string.Formatter().parse(self.text)]

    def _value(self, field: str, form: str, partition: Partition, known: Mapping[str, str]) -> str:
        if field in _BOUNDS:
            instant = partition.start if field == "start" else partition.end
            if instant is None:
                raise UsageError(f"a named partition has no {field}", hint="use {slug} in the path template")
            value = _strftime(instant, form or _DAY)
        elif field in known:
            value = known[field]
        else:
            raise UsageError(
                f"the path template {self.text!r} has the field {{{field}}}, which nothing fills",
                hint=f"known fields: {', '.join(sorted(known))}",
            )
        if not _VALUE.match(value):
            raise UsageError(
                f"{value!r} cannot stand for {{{field}}} in a path",
                hint="use 1 to 128 of the characters A-Z a-z 0-9 . _ = + -",
            )
        return value

    def _pattern(self, values: Mapping[str, str]) -> str:
        seen: set[str] = set()
        out = []
        for text, field, form in self._pieces():
            out.append(_glob_pattern(text))
            if field is None:
                continue
            group = f"{field}__{(form or _DAY).encode().hex()}" if field in _BOUNDS else field
            if field in values:
                out.append(re.escape(values[field]))
            elif group in seen:
                out.append(f"(?P={group})")
            else:
                seen.add(group)
                out.append(f"(?P<{group}>{_field_pattern(field, form)})")
        return "".join(out)


def _field_pattern(field: str, form: str) -> str:
    if field in _DIGITS:
        return rf"\d{{{_DIGITS[field]}}}"
    if form and not set(re.findall("%(.)", form)) - set(_DIRECTIVES):
        # As narrow as the form allows: beside another field, anything wider could take some of its characters.
        return re.sub("%(.)", lambda found: rf"\d{{{_DIRECTIVES[found[1]]}}}", re.escape(form))
    return r"\d{1,2}" if field in _SHORT else r"[A-Za-z0-9._=+-]{1,128}?"


def _glob_pattern(text: str) -> str:
    return re.escape(text).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")


def _of_partition(partition: Partition) -> dict[str, str]:
    found = {"slug": partition.slug}
    if (start := partition.start) is not None:
        found |= {"yyyy": f"{start.year:04d}", "mm": f"{start.month:02d}", "m": str(start.month)}
        found |= {"dd": f"{start.day:02d}", "d": str(start.day)}
        found |= {"hh": f"{start.hour:02d}", "h": str(start.hour)}
    return found


def _strftime(instant: datetime, form: str) -> str:
    # strftime does not pad years below 1000 on Linux.
    return instant.strftime(form.replace("%Y", f"{instant.year:04d}"))


def _others(groups: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in groups.items() if name not in TIME_FIELDS and "__" not in name}


def _from_fields(groups: Mapping[str, str], grid: Grid) -> Partition:
    if "slug" in groups:
        return grid.parse(groups["slug"])
    for name, text in groups.items():
        field, _, form = name.partition("__")
        if form and field in _BOUNDS:
            bound = datetime.strptime(text, bytes.fromhex(form).decode())  # noqa: DTZ007 - a grid's own bounds
            length = timedelta(hours=grid.hours or 24)
            return grid.parse(_slug_of(bound if field == "start" else bound - length, grid))
    number = {name: int(value) for name, value in groups.items() if value.isdigit()}
    month = number.get("mm", number.get("m", 1))
    day = number.get("dd", number.get("d", 1))
    hour = number.get("hh", number.get("h", 0))
    return grid.parse(_slug_of(datetime(number.get("yyyy", 0), month, day, hour), grid))  # noqa: DTZ001


def _slug_of(start: datetime, grid: Grid) -> str:
    day = start.date().isoformat()
    if grid.spec == "month":
        return day[:7]
    return day if grid.spec == "day" else f"{day}T{start.hour:02d}Z-{grid.spec}"
