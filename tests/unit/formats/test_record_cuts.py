import csv
import io
from unittest.mock import patch

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from scoreline.formats import record_cuts
from scoreline.formats.record_cuts import Cutter
from scoreline.records import STRAY_QUOTE, TOO_LONG, UNCLOSED_QUOTE

CSV, LINES = Cutter(ord(",")), Cutter()
TEXT = st.text(alphabet='a,"\n\r x', max_size=40)


def records(data, cutter=CSV):
    """Each record's bytes, with its reason where it is broken."""
    cuts, rest, endless = cutter.cut(data, final=True)
    assert rest == len(data)
    assert not endless
    texts = [data[start:end] for start, end in zip(cuts.starts, cuts.ends, strict=True)]
    return [(text, cuts.broken[at]) if at in cuts.broken else text for at, text in enumerate(texts)]


def python_s(text):
    """The records that Python's strict parser sees, None where it has no opinion."""
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error:
        return None


@given(TEXT)
@example('"a\n"\n"b"')
@example('a\r\n\r\n"""\r"')
@example('a,"b""",""\n"",x')
@example('a"b,"c\n')
def test_records_are_those_of_python_s_strict_parser_where_it_has_an_opinion(text):
    expected = python_s(text)
    if expected is not None:
        found = records(text.encode())
        assert all(isinstance(one, bytes) for one in found)
        assert [next(csv.reader(io.StringIO(one.decode(), newline=""), strict=True)) for one in found] == expected


@given(TEXT)
def test_every_byte_is_in_one_record_or_ends_a_line(text):
    data = text.encode()
    cuts, _, _ = Cutter(ord(","), blank_lines=True).cut(data, final=True)
    assert [0, *cuts.nexts.tolist()][:-1] == cuts.starts.tolist()
    assert (cuts.nexts[-1] if data else 0) == (len(data) if data else 0)
    gaps = [data[end:after] for end, after in zip(cuts.ends, cuts.nexts, strict=True)]
    assert set(gaps) <= {b"\n", b"\r\n", b"\r", b""}


@given(TEXT, st.lists(st.integers(0, 40), max_size=4))
def test_records_do_not_depend_on_how_the_text_comes(text, places):
    data = text.encode()
    whole, _, _ = CSV.cut(data, final=True)
    ends, base, left, before = [], 0, b"", 0
    for place in [*sorted(min(one, len(data)) for one in places), len(data)]:
        left, before = left + data[before:place], place
        cuts, rest, _ = CSV.cut(left, final=place == len(data))
        ends += (cuts.ends + base).tolist()
        base, left = base + rest, left[rest:]
        if place == len(data):
            break
    assert ends == whole.ends.tolist()


@given(st.lists(TEXT, max_size=6), st.integers(0, 5), st.integers(0, 5))
def test_a_run_of_records_by_itself_is_cut_in_the_same_way(texts, first, count):
    data = "\n".join(texts).encode()
    cuts, _, _ = CSV.cut(data, final=True)
    some = slice(first, first + count)
    if not len(cuts.starts[some]):
        return
    begin, end = int(cuts.starts[some][0]), int(cuts.nexts[some][-1])
    again, _, _ = CSV.cut(data[begin:end], final=True)
    assert (again.starts + begin).tolist() == cuts.starts[some].tolist()
    assert (again.ends + begin).tolist() == cuts.ends[some].tolist()
    assert again.broken == {at - first: why for at, why in cuts.broken.items() if first <= at < first + count}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'1,"2\n3', [(b'1,"2', UNCLOSED_QUOTE), b"3"]),
        (b'1,"2', [(b'1,"2', UNCLOSED_QUOTE)]),
        (b'"\r\n3\r\n4', [(b'"', UNCLOSED_QUOTE), b"3", b"4"]),
        (b'"a"b\n3', [(b'"a"b', STRAY_QUOTE), b"3"]),
        (b'""b\n', [(b'""b', STRAY_QUOTE)]),
        (b'"a\n"x",1\n3', [(b'"a\n"x",1', STRAY_QUOTE), b"3"]),
        (b'5" x\n6"\n', [b'5" x', b'6"']),
        (b'"a""b"\n""\n', [b'"a""b"', b'""']),
        (b"\n\r\n\r", []),
        (b"", []),
    ],
)
def test_what_is_wrong_with_a_record_costs_no_other_one(data, expected):
    assert records(data) == expected


def test_lines_end_with_line_feeds_alone():
    assert records(b'a"\rb\r\n\r\n"c', LINES) == [b'a"\rb', b'"c']


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a\nxxxxxxxxxxxx\nb", [b"a", (b"xxxxxxxxxxxx", TOO_LONG), b"b"]),
        (b"xxxxxxxxxxxx", [(b"xxxxxxxxxxxx", TOO_LONG)]),
        (b'"xx\nyyyyyyyyy\nz\n', [(b'"xx', UNCLOSED_QUOTE), (b"yyyyyyyyy", TOO_LONG), b"z"]),
        (b'"xx\nyy\nzz\nu"\nv\n', [(b'"xx', UNCLOSED_QUOTE), b"yy", b"zz", b'u"', b"v"]),
        (b'"xxxxxxxxxxx\nyy"\nv\n', [(b'"xxxxxxxxxxx', TOO_LONG), b'yy"', b"v"]),
    ],
)
def test_a_record_that_is_too_long_ends_with_its_line(data, expected):
    with patch.object(record_cuts, "MAX_RECORD", 8):
        assert records(data) == expected


def test_patience_with_quotes_has_an_end():
    data = b'b","c\n' * 50
    assert len(records(data)) == 50
    with pytest.raises(ValueError, match="more than 10"):
        CSV.cut(data, final=True, patience=10)
