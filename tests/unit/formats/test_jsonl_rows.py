import json

import hypothesis.strategies as st
import polars as pl
from hypothesis import given, settings

from scoreline.formats import jsonl_rows
from scoreline.formats.jsonl_rows import JsonDialect
from scoreline.formats.record_cuts import Cutter

TYPES = (("whole", pl.Int64()), ("float", pl.Float64()), ("flag", pl.Boolean()), ("text", pl.String()))
COLUMNS = ["whole", "float", "flag", "text", "free"]
KINDS = {name: jsonl_rows._kind(dict(TYPES).get(name)) for name in COLUMNS}
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    | st.lists(st.integers(), max_size=2)
)
OBJECTS = st.dictionaries(st.sampled_from([*COLUMNS, "other"]), VALUES, max_size=6).map(json.dumps)
ODD = st.sampled_from(
    [
        '{"whole":1,"whole":2}',
        "{}",
        "[1]",
        "{",
        '{"whole":1}{"whole":2}',
        '{"text":',
        "5}",
        " {} ",
        '{"text":"\\ud800"}',
        '{"float":1e400}',
        '{"float":NaN}',
    ]
)


def cut(lines):
    data = "\n".join(lines).encode()
    return data, Cutter().cut(data, final=True)[0]


@settings(max_examples=150)
@given(st.lists(OBJECTS | ODD, min_size=1, max_size=8))
def test_what_pyarrow_takes_as_a_whole_is_what_the_lines_say_one_by_one(lines):
    data, cuts = cut(lines)
    whole = jsonl_rows._block(data, cuts, KINDS)
    found = jsonl_rows._line_by_line(data, cuts, KINDS, dict(TYPES))
    rows, broken = found.rows, found.broken
    if whole is not None:
        assert not broken
        assert whole.equals(rows, null_equal=True)


@settings(max_examples=100)
@given(st.lists(OBJECTS | ODD, max_size=8))
def test_every_line_is_a_row_or_broken(lines):
    data, cuts = cut(lines)
    parsed = JsonDialect(TYPES).parse(data, cuts, JsonDialect(TYPES).layout(b"", "utf-8", "p"), COLUMNS)
    assert parsed.rows.height + len(parsed.broken) == len(lines)
    assert parsed.rows.columns == COLUMNS


def test_sound_lines_need_no_look_at_each():
    data, cuts = cut(['{"whole":1,"free":"x"}'] * 5)
    assert jsonl_rows._block(data, cuts, KINDS).height == 5


def test_half_an_object_on_a_line_is_never_joined_to_the_next():
    data, cuts = cut(['{"whole":1}{"whole":2}', '{"whole":', "3}"])
    assert jsonl_rows._block(data, cuts, KINDS) is None
