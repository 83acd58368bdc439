# ruff: noqa: DTZ001 - naive times are what grids and sources have

import calendar
import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from hypothesis import example, given
from tests.unit.samples import GRIDS, HOUR_GRIDS, TIME_ZONES, partitions, slug_of

from scoreline.errors import UsageError
from scoreline.partition import Grid, Partition

SAFE = datetime(2, 1, 3), datetime(9998, 12, 30)


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def bounds(partition):
    return partition.start.astimezone(UTC), partition.end.astimezone(UTC)


@given(partitions())
@example((Grid("month"), datetime(1, 1, 1)))
@example((Grid("month", "Africa/Cairo"), datetime(1, 1, 1)))
@example((Grid("month"), datetime(9999, 11, 1)))
@example((Grid("day", "America/New_York"), datetime(9999, 12, 30)))
@example((Grid("24h"), datetime(9999, 12, 30)))
def test_what_is_parsed_is_written_the_same_and_parsed_the_same_again(case):
    grid, start = case
    found = grid.parse(slug_of(grid, start))
    assert found.slug == str(found) == slug_of(grid, start)
    assert grid.parse(found.slug) == found
    assert pickle.loads(pickle.dumps(found)) == found
    assert len({found, grid.parse(found.slug)}) == 1


@given(partitions())
def test_bounds_are_the_calendar_s_own_in_the_grid_s_time_zone(case):
    grid, start = case
    found = grid.parse(slug_of(grid, start))
    days = calendar.monthrange(start.year, start.month)[1] if grid.spec == "month" else 1
    length = timedelta(hours=grid.hours) if grid.hours else timedelta(days=days)
    assert found.start.replace(tzinfo=None) == start
    assert found.end.replace(tzinfo=None) == start + length
    assert str(found.start.tzinfo) == ("UTC" if grid.hours else grid.tz)


@given(partitions(*SAFE))
@example((Grid("day", "Africa/Cairo"), datetime(2026, 4, 23)))
@example((Grid("day", "Africa/Cairo"), datetime(2026, 4, 24)))
@example((Grid("day", "America/New_York"), datetime(2026, 3, 8)))
@example((Grid("day", "America/New_York"), datetime(2026, 11, 1)))
@example((Grid("day", "Pacific/Apia"), datetime(2011, 12, 29)))
@example((Grid("month", "Africa/Cairo"), datetime(2026, 4, 1)))
def test_a_partition_ends_where_the_next_one_begins(case):
    grid, start = case
    found = grid.parse(slug_of(grid, start))
    following = grid.parse(slug_of(grid, found.end.replace(tzinfo=None)))
    assert bounds(found)[1] == bounds(following)[0]


@pytest.mark.parametrize(
    ("tz", "day", "start", "hours"),
    [
        ("Africa/Cairo", "2026-04-23", utc(2026, 4, 22, 22), 24),
        ("Africa/Cairo", "2026-04-24", utc(2026, 4, 23, 22), 23),  # 00:00 does not exist, the day begins at 01:00
        ("Africa/Cairo", "2026-04-25", utc(2026, 4, 24, 21), 24),
        ("Africa/Cairo", "2026-10-29", utc(2026, 10, 28, 21), 25),
        ("America/New_York", "2026-03-08", utc(2026, 3, 8, 5), 23),
        ("America/New_York", "2026-11-01", utc(2026, 11, 1, 4), 25),
        ("UTC", "2026-03-08", utc(2026, 3, 8), 24),
    ],
)
def test_a_day_has_the_hours_that_its_time_zone_gives_it(tz, day, start, hours):
    assert bounds(Grid("day", tz).parse(day)) == (start, start + timedelta(hours=hours))


@pytest.mark.parametrize(
    ("tz", "month", "hours"),
    [
        ("Africa/Cairo", "2026-04", 30 * 24 - 1),
        ("America/New_York", "2026-03", 31 * 24 - 1),
        ("America/New_York", "2026-11", 30 * 24 + 1),
    ],
)
def test_a_month_has_the_hours_that_its_time_zone_gives_it(tz, month, hours):
    start, end = bounds(Grid("month", tz).parse(month))
    assert end - start == timedelta(hours=hours)


@pytest.mark.parametrize("tz", ["Africa/Cairo", "America/New_York"])
@given(st.integers(0, 366 * 24 * 60))
def test_an_instant_lies_in_the_day_that_its_clock_shows(tz, minute):
    instant = utc(2026, 1, 1) + timedelta(minutes=minute)
    start, end = bounds(Grid("day", tz).parse(instant.astimezone(ZoneInfo(tz)).date().isoformat()))
    assert start <= instant < end


@pytest.mark.parametrize("hours", [1, 2, 3, 4, 6, 8, 12, 24])
@pytest.mark.parametrize("tz", ["UTC", "America/New_York"])
def test_hour_grids_are_anchored_at_midnight_utc_whatever_the_time_zone(hours, tz):
    grid = Grid(f"{hours}h", tz)
    day = [grid.parse(f"2026-03-08T{hour:02d}Z") for hour in range(0, 24, hours)]
    instants = [utc(2026, 3, 8) + timedelta(hours=hour) for hour in range(0, 25, hours)]
    assert [bounds(one) for one in day] == list(pairwise(instants))


def test_the_length_may_be_left_out_of_an_hour_s_name():
    assert Grid("2h").parse("2025-01-18T14Z").slug == "2025-01-18T14Z-2h"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("month", ""),
        ("month", "2021"),
        ("month", "2021-2"),
        ("month", "2021-13"),
        ("month", "2021-00"),
        ("month", "0000-01"),
        ("month", "9999-12"),  # its end cannot be told
        ("month", "2021-02-01"),
        ("month", "2021-02\n"),
        ("month", " 2021-02"),
        ("month", "../2021-02"),
        ("day", "2021-02"),
        ("day", "2021-02-29"),
        ("day", "9999-12-31"),
        ("day", "2021-02-03T00Z-24h"),
        ("2h", "2025-01-18T13Z"),  # no interval begins here
        ("2h", "2025-01-18T14Z-3h"),
        ("2h", "2025-01-18T24Z-2h"),
        ("2h", "2025-01-18T14-2h"),
        ("2h", "2025-01-18"),
        ("24h", "9999-12-31T00Z-24h"),
    ],
)
def test_what_is_no_partition_of_the_grid_is_refused_with_its_form(spec, text):
    grid = Grid(spec)
    with pytest.raises(UsageError) as caught:
        grid.parse(text)
    assert grid.example in caught.value.hint


@pytest.mark.parametrize("spec", GRIDS)
def test_the_example_of_a_grid_is_one_of_its_partitions(spec):
    assert Grid(spec).parse(Grid(spec).example).slug == Grid(spec).example


@pytest.mark.parametrize("spec", ["", "week", "0h", "5h", "7h", "25h", "48h", "02h", "-2h", "2H", "2h\n", "month "])
def test_an_unknown_grid_is_refused(spec):
    with pytest.raises(UsageError, match="grid"):
        Grid(spec)


@pytest.mark.parametrize("tz", ["", "Mars/Base", "America", "../etc/passwd", "/etc/localtime", "New York"])
def test_an_unknown_time_zone_is_refused(tz):
    with pytest.raises(UsageError, match="time zone"):
        Grid("day", tz)


@pytest.mark.parametrize("name", ["a", "2021-02", "x" * 128, "A.b_c=d-9", "..."])
def test_a_named_partition_is_called_what_it_is_called(name):
    assert Grid("named").parse(name) == Partition(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "a\n", "x" * 129, "ä", "a\\b", "*", "a\0"])
def test_a_name_that_could_leave_its_place_in_a_path_is_refused(name):
    with pytest.raises(UsageError):
        Grid("named").parse(name)


INSTANTS = st.datetimes(*SAFE, timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]))


@given(st.sampled_from(["month", "day", *HOUR_GRIDS]), st.sampled_from(TIME_ZONES), INSTANTS)
@example("day", "Africa/Cairo", utc(2026, 4, 23, 22))
@example("day", "Africa/Cairo", utc(2026, 4, 23, 21, 59))
@example("day", "America/New_York", utc(2026, 11, 2, 5))
@example("month", "America/New_York", utc(2026, 12, 1, 4, 59))
@example("2h", "America/New_York", utc(2026, 3, 8, 0))
def test_the_last_complete_partition_has_ended_and_the_one_after_it_has_not(spec, tz, now):
    grid = Grid(spec, tz)
    found = grid.last_complete(now)
    following = grid.parse(slug_of(grid, found.end.replace(tzinfo=None)))
    assert bounds(found)[1] <= now < bounds(following)[1]


def test_a_named_grid_has_no_last_complete_partition():
    with pytest.raises(UsageError, match="named"):
        Grid("named").last_complete(utc(2026, 1, 1))


def test_day_slugs_are_iso_dates():
    assert Grid("day").parse("0001-02-03").slug == date(1, 2, 3).isoformat()


# ranges


def slugs(found):
    return [one.slug for one in found]


@pytest.mark.parametrize(
    ("spec", "text", "expected"),
    [
        ("month", "2021-11..2022-02", ["2021-11", "2021-12", "2022-01", "2022-02"]),
        ("month", "2021-02..2021-02", ["2021-02"]),
        ("month", "2021-02", ["2021-02"]),
        ("month", "9999-10..9999-11", ["9999-10", "9999-11"]),
        ("day", "2024-02-28..2024-03-01", ["2024-02-28", "2024-02-29", "2024-03-01"]),
        ("day", "2023-02-28..2023-03-01", ["2023-02-28", "2023-03-01"]),
        ("day", "1900-02-28..1900-03-01", ["1900-02-28", "1900-03-01"]),
        ("day", "2000-12-31..2001-01-01", ["2000-12-31", "2001-01-01"]),
        ("12h", "2021-02-28T12Z..2021-03-01T12Z", ["2021-02-28T12Z-12h", "2021-03-01T00Z-12h", "2021-03-01T12Z-12h"]),
        ("24h", "2024-02-28T00Z-24h..2024-02-29T00Z", ["2024-02-28T00Z-24h", "2024-02-29T00Z-24h"]),
        ("named", "batch-7", ["batch-7"]),
    ],
)
def test_a_range_has_both_its_ends_and_all_between(spec, text, expected):
    assert slugs(Grid(spec).range(text)) == expected


@pytest.mark.parametrize(("tz", "day"), [("Africa/Cairo", 24), ("America/New_York", 8), ("UTC", 8)])
@pytest.mark.parametrize("month", [3, 4, 11])
def test_days_around_a_change_of_the_clocks_come_once_and_touch(tz, day, month):
    found = Grid("day", tz).range(f"2026-{month:02d}-{day - 2:02d}..2026-{month:02d}-{day + 2:02d}")
    assert slugs(found) == [f"2026-{month:02d}-{day + offset:02d}" for offset in range(-2, 3)]
    for one, following in pairwise(found):
        assert bounds(one)[1] == bounds(following)[0]


@pytest.mark.parametrize("day", ["2026-03-08", "2026-11-01"])
def test_hours_around_a_change_of_the_clocks_are_utc_s(day):
    found = Grid("1h", "America/New_York").range(f"{day}T00Z..{day}T23Z")
    assert slugs(found) == [f"{day}T{hour:02d}Z-1h" for hour in range(24)]


def test_a_day_that_a_time_zone_left_out_is_in_a_range_and_empty():
    found = Grid("day", "Pacific/Apia").range("2011-12-29..2011-12-31")
    assert slugs(found) == ["2011-12-29", "2011-12-30", "2011-12-31"]
    start, end = bounds(found[1])
    assert start == end


RANGES = st.integers(0, 40)


@given(partitions(*SAFE), RANGES)
def test_a_range_is_what_following_gives_one_after_the_other(case, length):
    grid, start = case
    first = grid.parse(slug_of(grid, start))
    expected = [first]
    for _ in range(length):
        expected.append(grid.following(expected[-1]))
    assert grid.range(f"{first}..{expected[-1]}") == expected
    assert len(set(slugs(expected))) == length + 1


@given(partitions(*SAFE))
@example((Grid("day", "America/New_York"), datetime(2026, 3, 8)))
@example((Grid("day", "America/New_York"), datetime(2026, 11, 1)))
@example((Grid("day", "Africa/Cairo"), datetime(2026, 4, 23)))
@example((Grid("month", "Africa/Cairo"), datetime(2026, 4, 1)))
@example((Grid("day", "Pacific/Apia"), datetime(2011, 12, 28)))
def test_the_following_partition_begins_where_this_one_ends(case):
    grid, start = case
    found = grid.parse(slug_of(grid, start))
    following = grid.following(found)
    assert following == grid.parse(following.slug)
    assert bounds(following)[0] == bounds(found)[1]


@given(partitions(*SAFE), st.integers(1, 40))
def test_a_range_the_wrong_way_round_is_refused_with_the_right_one(case, length):
    grid, start = case
    first = last = grid.parse(slug_of(grid, start))
    for _ in range(length):
        last = grid.following(last)
    with pytest.raises(UsageError) as caught:
        grid.range(f"{last}..{first}")
    assert caught.value.hint == f"write {first}..{last}"


@pytest.mark.parametrize("text", ["2021-01..", "..2021-01", "..", "2021-01..2021-13", "2021-01...2021-02", "a..b"])
def test_a_range_with_an_end_that_is_no_partition_is_refused(text):
    with pytest.raises(UsageError):
        Grid("month").range(text)


def test_named_partitions_have_no_ranges():
    with pytest.raises(UsageError, match="no ranges"):
        Grid("named").range("a..b")
