"""Partition: the data interval that one run scores, and the grid that an interval belongs to.

Pure values: no clock (``now`` is an argument), no paths, no ledger. Bounds are aware instants: month and day grids lie
in the job's data time zone, hour grids are anchored at midnight UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from scoreline.errors import UsageError

SLUG = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._=-]{1,128}\Z")
_MONTH = re.compile(r"(\d{4})-(\d{2})\Z")
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})\Z")
_HOURS = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2})Z(?:-(\d{1,2})h)?\Z")
_SPEC = re.compile(r"(month|day|named|([1-9]|1[0-9]|2[0-4])h)\Z")


@dataclass(frozen=True, slots=True)
class Partition:
    """One data interval ``[start, end)``, or a named batch without bounds.

    Attributes:
        slug: its one name, ``[A-Za-z0-9._=-]{1,128}``, used in paths, row ids, ledger and logs.
        start: first instant inside, aware; None for a named partition.
        end: first instant after, aware; None for a named partition.
        tz: IANA name of the data time zone, which naive times of the source are in.
    """

    slug: str
    start: datetime | None = None
    end: datetime | None = None
    tz: str = field(default="UTC", compare=False, repr=False)

    def __post_init__(self) -> None:
        if not SLUG.match(self.slug):
            raise UsageError(
                f"{self.slug!r} cannot name a partition",
                hint="use 1 to 128 of the characters A-Z a-z 0-9 . _ = -",
            )

    def __str__(self) -> str:
        return self.slug

    def naive_bounds(self) -> tuple[datetime, datetime]:
        """First naive time inside and first one after, as a clock in the data time zone shows them.

        A time that comes twice, where clocks are set back, lies in each interval that one of its instants lies in.
        """
        assert self.start is not None
        assert self.end is not None
        as_they_are = self.start.replace(tzinfo=None), self.end.replace(tzinfo=None)
        if self.start.tzinfo is not UTC:
            return as_they_are
        zone, tick = ZoneInfo(self.tz), timedelta(microseconds=1)
        instants = (self.start, self.end - tick, self.end)
        try:
            first, last, after = (instant.astimezone(zone).replace(tzinfo=None) for instant in instants)
        except OverflowError:  # at an end of the calendar no other clock shows a time
            return as_they_are
        return first, max(after, last + tick)


@dataclass(frozen=True, slots=True)
class Grid:
    """How a dataset is cut into partitions: ``month``, ``day``, ``2h`` (hours that divide a day), or ``named``.

    Args:
        spec: the grid's name as a job declares it.
        tz: IANA name of the data time zone, for month and day bounds and for naive times.

    Raises:
        UsageError: unknown spec, hours that do not divide 24, or an unknown time zone.
    """

    spec: str
    tz: str = "UTC"

    def __post_init__(self) -> None:
        match = _SPEC.match(self.spec)
        if not match or (match[2] and 24 % int(match[2])):
            raise UsageError(
                f"{self.spec!r} is not a partition grid",
                hint="use 'month', 'day', 'named', or hours that divide a day, such as '1h', '2h', '6h', '24h'",
            )
        try:
            ZoneInfo(self.tz)
        except (KeyError, ValueError, OSError) as error:
            raise UsageError(
                f"{self.tz!r} is not a time zone", hint="use an IANA name such as 'UTC' or 'America/New_York'"
            ) from error

    @property
    def hours(self) -> int | None:
        """Length in hours of a sub-day grid, else None."""
        return int(self.spec[:-1]) if self.spec.endswith("h") and self.spec[:-1].isdigit() else None

    def parse(self, text: str) -> Partition:
        """The partition that ``text`` names, such as ``2021-02``, ``2021-02-28``, ``2025-01-18T14Z-2h``.

        Raises:
            UsageError: the text is no partition of this grid; the hint shows the form.
        """
        if self.spec == "named":
            return Partition(text)
        try:
            return self._parse(text)
        except (ValueError, OverflowError) as error:
            raise UsageError(
                f"{text!r} is not a partition of the grid {self.spec!r}: {error}",
                hint=f"write it as {self.example}",
            ) from error

    def last_complete(self, now: datetime) -> Partition:
        """The last partition that has ended at the aware instant ``now``."""
        if self.spec == "named":
            raise UsageError("a job of named partitions has no last interval", hint="name the partition to run")
        if self.hours:
            hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
            return self._of_hour(hour - timedelta(hours=hour.hour % self.hours) - timedelta(hours=self.hours))
        today = now.astimezone(ZoneInfo(self.tz)).date()
        if self.spec == "day":
            return self._of_day(today - timedelta(days=1))
        last = today.replace(day=1) - timedelta(days=1)
        return self._of_month(last.year, last.month)

    def following(self, partition: Partition) -> Partition:
        """The next partition; month, day and hour grids have one."""
        assert partition.start is not None
        assert partition.end is not None
        if self.hours:
            return self._of_hour(partition.end)
        return (
            self._of_day(partition.end.date())
            if self.spec == "day"
            else self._of_month(partition.end.year, partition.end.month)
        )

    def span(self, first: Partition, last: Partition) -> list[Partition]:
        """The partitions from ``first`` to ``last``, both included.

        Raises:
            UsageError: the last one comes before the first, or partitions are named and have no order.
        """
        if first == last:
            return [first]
        if first.start is None or last.start is None:
            raise UsageError("named partitions have no ranges", hint="name one partition")
        if last.start < first.start:
            raise UsageError(f"{first}..{last} ends before it begins", hint=f"write {last}..{first}")
        found = [first]
        while found[-1] != last:
            found.append(self.following(found[-1]))
        return found

    def range(self, text: str) -> list[Partition]:
        """The partitions of ``2021-01..2021-06``, both ends included, or of a single one.

        Raises:
            UsageError: an end is no partition of this grid, or they are in the wrong order.
        """
        first, dots, last = text.partition("..")
        return self.span(self.parse(first), self.parse(last)) if dots else [self.parse(first)]

    def _parse(self, text: str) -> Partition:
        if self.spec == "month" and (match := _MONTH.match(text)):
            return self._of_month(int(match[1]), int(match[2]))
        if self.spec == "day" and (match := _DAY.match(text)):
            return self._of_day(date(*(int(part) for part in match.groups())))
        if self.hours and (match := _HOURS.match(text)):
            if match[5] and int(match[5]) != self.hours:
                msg = f"its length is not {self.hours} hours"
                raise ValueError(msg)
            start = datetime(*(int(part) for part in match.groups()[:4]), tzinfo=UTC)  # type: ignore[misc, arg-type]
            if start.hour % self.hours:
                msg = f"hour {start.hour} does not begin an interval of {self.hours} hours"
                raise ValueError(msg)
            return self._of_hour(start)
        msg = "unknown form"
        raise ValueError(msg)

    def _of_month(self, year: int, month: int) -> Partition:
        following = (year + month // 12, month % 12 + 1)
        zone = ZoneInfo(self.tz)
        return Partition(
            f"{year:04d}-{month:02d}",
            datetime(year, month, 1, tzinfo=zone),
            datetime(*following, 1, tzinfo=zone),
        )

    def _of_day(self, day: date) -> Partition:
        zone = ZoneInfo(self.tz)
        following = day + timedelta(days=1)
        return Partition(
            day.isoformat(),
            datetime(day.year, day.month, day.day, tzinfo=zone),
            datetime(following.year, following.month, following.day, tzinfo=zone),
        )

    def _of_hour(self, start: datetime) -> Partition:
        hours = self.hours or 1
        slug = f"{start.date().isoformat()}T{start.hour:02d}Z-{hours}h"
        return Partition(slug, start, start + timedelta(hours=hours), self.tz)

    @property
    def example(self) -> str:
        """A partition of this grid, as people write it."""
        return {"month": "2021-02", "day": "2021-02-28", "named": "batch-1"}.get(
            self.spec, f"2025-01-18T{(self.hours or 1) % 24:02d}Z-{self.hours}h"
        )
