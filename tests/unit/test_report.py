import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

from scoreline.errors import ConservationBroken
from scoreline.report import Counts, Receipt, RunReport, SplitReport, total

TALLIES = st.dictionaries(st.sampled_from("abc"), st.integers(0, 10**9))
RECEIPTS = st.builds(
    Receipt, st.integers(0, 3), st.text(), st.integers(0), st.integers(0), st.text("0123456789abcdef", min_size=64)
)


@st.composite
def conserved(draw):
    """Counts in which every row is accounted for."""
    scored, filtered, quarantined = draw(st.integers(0, 10**9)), draw(TALLIES), draw(st.integers(0, 10**9))
    rows = scored + sum(filtered.values()) + quarantined
    return Counts(rows, scored, filtered, quarantined, *(draw(TALLIES) for _ in range(4)))


REPORTS = st.builds(
    SplitReport,
    st.integers(0),
    conserved(),
    st.lists(RECEIPTS).map(tuple),
    st.dictionaries(st.text(), st.floats(0, 1e6)),
    st.lists(RECEIPTS).map(tuple),
    st.booleans(),
)


@given(conserved())
def test_counts_that_add_up_are_accepted(counts):
    counts.require_conserved(counts.rows_in, "here")


@given(
    conserved(), st.sampled_from(["scored", "rows_in", "expected", "filtered", "quarantined"]), st.sampled_from([-1, 1])
)
def test_a_single_row_lost_or_made_up_anywhere_is_noticed(counts, where, by):
    expected = counts.rows_in + (by if where == "expected" else 0)
    changed = Counts(
        counts.rows_in + (by if where == "rows_in" else 0),
        counts.scored + (by if where == "scored" else 0),
        counts.filtered | ({"z": by} if where == "filtered" else {}),
        counts.quarantined + (by if where == "quarantined" else 0),
    )
    with pytest.raises(ConservationBroken) as caught:
        changed.require_conserved(expected, "split 3 of in.parquet")
    assert "split 3 of in.parquet" in caught.value.message
    assert (caught.value.expected, caught.value.rows_in) == (expected, changed.rows_in)


def test_a_row_read_twice_is_noticed_although_it_was_scored_twice():
    with pytest.raises(ConservationBroken):
        Counts(11, 11).require_conserved(10, "here")


@pytest.mark.parametrize("tally", ["unseen", "warnings", "nulls", "reasons"])
def test_what_is_counted_by_the_way_is_no_row_of_its_own(tally):
    Counts(10, 8, {"rule": 1}, 1, **{tally: {"a": 4, "b": 1}}).require_conserved(10, "here")


@given(st.lists(conserved()))
def test_sums_of_conserved_counts_are_conserved(several):
    summed = sum(several, Counts())
    summed.require_conserved(sum(counts.rows_in for counts in several), "the sum")


@given(conserved(), conserved(), conserved())
def test_the_order_of_adding_does_not_matter(a, b, c):
    assert (a + b) + c == a + (b + c) == (c + b) + a


@given(conserved())
def test_adding_nothing_changes_nothing_and_no_argument(counts):
    before = repr(counts)
    assert counts + Counts() == Counts() + counts == counts
    assert repr(counts) == before


@given(conserved(), conserved())
def test_every_tally_is_added_by_name(a, b):
    summed = a + b
    for name in ("rows_in", "scored", "quarantined"):
        assert getattr(summed, name) == getattr(a, name) + getattr(b, name)
    for name in ("filtered", "reasons", "warnings", "unseen", "nulls"):
        left, right, both = (getattr(counts, name) for counts in (a, b, summed))
        assert both == {key: left.get(key, 0) + right.get(key, 0) for key in {*left, *right}}


@given(st.lists(REPORTS, max_size=5))
def test_the_total_is_the_sum_of_the_splits(reports):
    assert total(reports) == sum((report.counts for report in reports), Counts())


@given(REPORTS)
def test_a_split_report_survives_json(report):
    assert SplitReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_a_run_report_is_json():
    outputs = ({"path": "out/a.parquet", "rows": 1, "bytes": 2, "sha256": "f" * 64},)
    report = RunReport("j", "2021-02", "published", "missing", "r", Counts(1, 1), {}, outputs, {"total": 0.1}, 10.0)
    form = json.loads(json.dumps(report.to_dict()))
    assert (form["counts"]["rows_in"], form["outputs"][0]["path"]) == (1, "out/a.parquet")
