# ruff: noqa: DTZ001 - naive times are what grids and sources have

import pickle
from datetime import datetime

import hypothesis.strategies as st
import pytest
from hypothesis import example, given
from tests.unit.samples import HOUR_GRIDS, partitions, slug_of

from scoreline.errors import UsageError
from scoreline.partition import Grid, Partition
from scoreline.template import Template

VALUES = st.from_regex(r"[A-Za-z0-9._=+-]{1,12}", fullmatch=True).filter(lambda text: text not in {".", ".."})
FEBRUARY = Grid("month").parse("2021-02")
AFTERNOON = Grid("2h").parse("2025-01-18T14Z-2h")


def telling(grid):
    """Fields that tell the grid's partitions apart, in any order."""
    fields = [["{yyyy}"], ["{mm}", "{m}"], ["{dd}", "{d}"], ["{hh}", "{h}"]]
    wanted = fields[: {"month": 2, "day": 3}.get(grid.spec, 4)]
    form = {"month": "%Y-%m", "day": "%Y%m%d"}.get(grid.spec, "%Y%m%d_%H%M%S")
    whole = st.sampled_from([["{slug}"], [f"{{start:{form}}}"], [f"{{end:{form}}}"]])
    plain = st.sampled_from([["{start}"], ["{end}"]]) if grid.spec in {"month", "day"} else whole
    return whole | plain | st.tuples(*map(st.sampled_from, wanted)).flatmap(lambda some: st.permutations(list(some)))


@st.composite
def templates(draw):
    """(grid, naive start, template, values): fields in any order, never side by side."""
    grid, start = draw(partitions())
    fields = [*draw(telling(grid)), *draw(st.sampled_from([[], ["{kind}"], ["{slug}"], ["{mm}", "{yyyy}"]]))]
    separators = st.sampled_from(["_", "/", "/a-", "~", " ", "+{{x}}+", "[1]"])
    text = "".join(piece for field in draw(st.permutations(fields)) for piece in (draw(separators), field))
    return grid, start, Template("x" + text + ".parquet"), {"kind": draw(VALUES)}


@given(templates())
@example((Grid("day"), datetime(2021, 2, 3), Template("{start}.parquet"), {}))
@example((Grid("day"), datetime(2021, 2, 28), Template("{end}.parquet"), {}))
@example((Grid("month"), datetime(2021, 12, 1), Template("{end:%Y-%m}.parquet"), {}))
@example((Grid("2h"), datetime(2025, 1, 18, 22), Template("{end:%Y%m%d%H}.parquet"), {}))
@example((Grid("month"), datetime(321, 2, 1), Template("{start:%Y-%m}.parquet"), {}))
@example((Grid("month"), datetime(2021, 2, 1), Template("{m}-{yyyy}.parquet"), {}))
def test_the_partition_of_a_rendered_path_is_the_one_it_was_rendered_for(case):
    grid, start, template, values = case
    partition = grid.parse(slug_of(grid, start))
    assert template.partition_of(template.render(partition, values), grid, values) == partition


@given(templates())
def test_a_rendered_path_is_the_template_with_its_fields_filled(case):
    grid, start, template, values = case
    partition = grid.parse(slug_of(grid, start))
    numbers = {"yyyy": f"{start.year:04d}", "mm": f"{start.month:02d}", "m": start.month, "dd": f"{start.day:02d}"}
    numbers |= {"d": start.day, "hh": f"{start.hour:02d}", "h": start.hour, "slug": partition.slug}
    bounds = {"start": Padded(partition.start), "end": Padded(partition.end)}
    assert template.render(partition, values) == template.text.format(**numbers, **bounds, **values)


class Padded:
    """A time whose year has four digits in every form, which strftime does not do below the year 1000."""

    def __init__(self, instant):
        self.instant = instant

    def __format__(self, form):
        parts = {"%Y": "year:04d", "%m": "month:02d", "%d": "day:02d", "%H": "hour:02d"}
        parts |= {"%M": "minute:02d", "%S": "second:02d"}
        text = form or "%Y-%m-%d"
        for code, part in parts.items():
            text = text.replace(code, "{0." + part + "}")
        return text.format(self.instant)


@given(templates(), st.sampled_from(["2021-02", "x/2021-13.parquet", "", ".", "x_2021-02.csv", "y_2021-02.parquet"]))
def test_a_path_of_another_form_belongs_to_no_partition(case, path):
    grid, _, template, values = case
    assert template.partition_of(path, grid, values) is None


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("{m}-{yyyy}.parquet", "02-2021.parquet"),  # renders as 2-2021
        ("{mm}-{yyyy}.parquet", "2-2021.parquet"),
        ("{mm}-{yyyy}.parquet", "13-2021.parquet"),
        ("{mm}-{yyyy}.parquet", "00-2021.parquet"),
        ("{mm}-{yyyy}.parquet", "02-0000.parquet"),
        ("{mm}-{yyyy}.parquet", "12-9999.parquet"),
        ("{yyyy}/{slug}.parquet", "2020/2021-02.parquet"),
        ("{mm}/{slug}/{mm}.parquet", "02/2021-02/03.parquet"),
        ("{slug}.parquet", "2021-02.parquet.bak"),
        ("{slug}.parquet", "sub/2021-02.parquet"),
        ("{slug}.parquet", "2021-02xparquet"),
        ("{yyyy}-{mm}.parquet", "\u0662\u0660\u0662\u0661-\u0660\u0662.parquet"),
        ("{kind}_{slug}.parquet", "yellow_2021-02.parquet"),
        ("{mm}.parquet", "02.parquet"),  # of which year?
    ],
)
def test_a_path_that_would_be_rendered_otherwise_belongs_to_no_partition(text, path):
    assert Template(text).partition_of(path, Grid("month"), {"kind": "green"}) is None


@pytest.mark.parametrize(
    ("text", "path", "found"),
    [
        ("{slug}_*.parquet", "2021-02_part-1.parquet", "2021-02"),
        ("{slug}/*.parquet", "2021-02/a.parquet", "2021-02"),
        ("{slug}/?.parquet", "2021-02/ab.parquet", None),
        ("{slug}/*.parquet", "2021-02/a/b.parquet", None),  # a wildcard stays within one name
        ("*/{slug}.parquet", "a/2021-02.parquet", "2021-02"),
    ],
)
def test_wildcards_stand_for_anything_within_one_name(text, path, found):
    partition = Template(text).partition_of(path, Grid("month"), {})
    assert (partition and partition.slug) == found


@pytest.mark.parametrize(
    "value", ["", ".", "..", "a/b", "../a", "/a", "a b", "a\n", "a\0", "*", "a?", "ä", "{x}", "x" * 129, "a\\b", "~"]
)
def test_a_value_that_could_leave_its_place_in_the_path_is_refused(value):
    with pytest.raises(UsageError, match="cannot stand for"):
        Template("out/{kind}/{slug}.parquet").render(FEBRUARY, {"kind": value})


@given(VALUES)
def test_a_harmless_value_stands_in_the_path_as_it_is(value):
    assert Template("out/{kind}/a.parquet").render(FEBRUARY, {"kind": value}) == f"out/{value}/a.parquet"


def test_a_field_that_nothing_fills_is_refused_with_those_that_are_known():
    with pytest.raises(UsageError, match="nothing fills") as caught:
        Template("{color}.parquet").render(FEBRUARY, {"kind": "green"})
    assert "kind" in caught.value.hint


@pytest.mark.parametrize("field", ["start", "end", "yyyy"])
def test_a_named_partition_has_no_times_to_fill_in(field):
    with pytest.raises(UsageError):
        Template(f"{{{field}}}.parquet").render(Partition("batch"), {})


def test_a_form_that_makes_folders_is_refused():
    with pytest.raises(UsageError, match="cannot stand for"):
        Template("{start:%Y/%m}.parquet").render(FEBRUARY, {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/abs/{slug}",
        "../{slug}",
        "a/../{slug}",
        "{slug",
        "slug}",
        "{}",
        "{0}",
        "{a.b}",
        "{a[0]}",
        "{mm:02}",
        "{a-b}",
    ],
)
def test_an_unusable_template_is_refused(text):
    with pytest.raises(UsageError):
        Template(text)


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("a/b/{slug}.parquet", "a/b"),
        ("{slug}/x.parquet", ""),
        ("a/*/{slug}.parquet", "a"),
        ("a/b?/{slug}.parquet", "a"),
        ("a/x.parquet", "a"),
        ("x.parquet", ""),
    ],
)
def test_the_fixed_folder_ends_before_the_first_field_or_wildcard(text, folder):
    assert Template(text).fixed_folder == folder


@pytest.mark.parametrize(("text", "answer"), [("{slug}*", True), ("{a}?", True), ("{slug}", False), ("[ab]", False)])
def test_stars_and_question_marks_are_the_wildcards(text, answer):
    assert Template(text).has_wildcard is answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("{slug}/*.parquet", False),
        ("{slug}/part-?.parquet", False),
        ("{yyyy}-{mm}*.parquet", False),  # padded: a wildcard can take no digit of it
        ("*/{slug}.parquet", False),
        ("{slug}*.parquet", True),  # 2021-02 and 2021-02-b
        ("*{slug}.parquet", True),
        ("{slug}-x*.parquet", True),
        ("{yyyy}-{m}*.parquet", True),  # 2021-1 and 2021-12
        ("?{d}.parquet", True),
        ("{d}?.parquet", True),
    ],
)
def test_a_wildcard_that_can_take_characters_of_a_field_is_ambiguous(text, answer):
    assert Template(text).is_ambiguous is answer


@pytest.mark.parametrize(
    ("text", "depth"), [("{slug}", 0), ("a/{slug}", 0), ("{slug}/x", 1), ("a/b/{yyyy}/{mm}/x", 2), ("a/*/{slug}", 1)]
)
def test_the_depth_is_the_number_of_folders_below_the_fixed_one(text, depth):
    assert Template(text).depth == depth


def test_fields_are_named_once():
    assert Template("{yyyy}/{start:%Y}/{yyyy}-{kind}").fields == {"yyyy", "start", "kind"}


@pytest.mark.parametrize(
    ("text", "path", "answer"),
    [("a*/x.parquet", "ab/x.parquet", True), ("a*/x.parquet", "ab/c/x.parquet", False), ("a.b", "axb", False)],
)
def test_a_template_without_fields_matches_paths(text, path, answer):
    assert Template(text).matches(path) is answer


@given(partitions(specs=HOUR_GRIDS))
def test_hours_are_rendered_in_utc(case):
    grid, start = case
    assert Template("{hh}").render(grid.parse(slug_of(grid, start)), {}) == f"{start.hour:02d}"


def test_a_template_pickles():
    template = Template("{slug}.parquet")
    assert pickle.loads(pickle.dumps(template)) == template


def test_both_bounds_can_be_rendered_in_any_form():
    form = "{start:%Y%m%d_%H%M%S}-{end:%H%M}-{start}-{end}"
    assert Template(form).render(AFTERNOON, {}) == "20250118_140000-1600-2025-01-18-2025-01-18"
