"""Crossed whole numbers by table beside the look-up of their text."""

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given

from scoreline.models.compiled.pairs import PairTable

SMALL = st.integers(-12, 12)
ANY = st.none() | SMALL | st.sampled_from([2**63 - 1, -(2**63), 2**31, -(2**31) - 1, 4096])
PAIRS = st.tuples(ANY, ANY)


@given(st.sets(st.tuples(SMALL, SMALL), min_size=1, max_size=20), st.lists(PAIRS, max_size=40), st.sampled_from("_-:/"))
def test_a_pair_is_found_where_its_text_is(known, asked, separator):
    texts = [f"{first}{separator}{second}" for first, second in known]
    table = PairTable.of(pl.Series(texts), separator)
    if separator == "-" and table is None:
        return  # "-1--2" is cut at its first dash
    column = pl.DataFrame(asked, schema={"0": pl.Int64, "1": pl.Int64}, orient="row").to_struct()
    place = {text: number for number, text in enumerate(texts)}
    expected = [place.get(f"{first}{separator}{second}", len(texts)) for first, second in asked]
    assert table.look_up(column).tolist() == expected


@pytest.mark.parametrize(
    ("texts", "separator"),
    [
        (["1_2", "x_2"], "_"),
        (["007_1"], "_"),
        (["1_2_3"], "_"),
        (["1_2.0"], "_"),
        (["+1_2"], "_"),
        (["1_ 2"], "_"),
        (["12"], "_"),
        (["1_2", "5000_5000"], "_"),
        ([f"{2**62}_1"], "_"),
        (["1_2"], ""),
        ([], "_"),
    ],
)
def test_texts_that_are_no_two_small_numbers_have_no_table(texts, separator):
    assert PairTable.of(pl.Series(texts, dtype=pl.String), separator) is None
