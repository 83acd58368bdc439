"""Whatever the rows, the contract, the filters and the model: each row has one outcome, and it is its own affair."""

from dataclasses import dataclass
from itertools import pairwise

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.samples import constants, job, split

from scoreline import (
    Field,
    Filter,
    Gates,
    Rule,
    between,
    category,
    computed,
    cross,
    expression,
    number,
    passthrough,
    prediction,
    ratio,
    row_id,
)
from scoreline.abc import Predictions
from scoreline.errors import ModelFailed
from scoreline.rejects import REASONS, ROW
from scoreline.report import Counts
from scoreline.score import score_rows

NAN, INF = float("nan"), float("inf")
X, N, T = pl.col("x"), pl.col("n"), pl.col("t")


@dataclass(frozen=True)
class Choosy:
    """A sum of numbers; it cannot take some kinds of them, and predicts nothing finite for some rows.

    Attributes:
        inputs: its features.
        refuses: kinds of numbers for which it raises, for a whole batch.
    """

    inputs: tuple
    refuses: frozenset

    def predict(self, features):
        floats = [features[name].cast(pl.Float64) for name in self.inputs if features.schema[name].is_numeric()]
        tests = {
            "infinite": lambda values: values.is_infinite().any(),
            "nan": lambda values: values.is_nan().any(),
            "null": lambda values: values.is_null().any(),
        }
        if any(tests[kind](values) for kind in self.refuses for values in floats):
            raise ModelFailed("the model raised")
        total = pl.zeros(features.height, pl.Float64, eager=True)
        for values in floats:
            total = total + values.fill_null(0.5)
        return Predictions(total)


CONTRACT = [
    Field("x", pl.Float64, low=-5, high=100),
    Field("n", pl.Int64, nullable=True),
    Field("t", pl.String, one_of=["a", "b", "c"]),
    Rule("x below n", X < N),
    Rule("not a", T != "a", warn=True),
    Rule("small", X.is_not_nan() & (X < 50)),
]
FILTERS = [between("x", 0, 60), Filter("n", N > 1), Filter("known", T.is_in(["a", "b"])), Filter("sum", X + N > 3)]
FEATURES = [number("n"), category("zone", "n"), cross("route", "n", "t"), ratio("r", "x", "n"), expression("h", X / 2)]
OUTPUT = [passthrough("n", pl.Int64), computed("c", X * 2, pl.Int64), computed("d", pl.col("p") - X)]


def some(of):
    return st.lists(st.sampled_from(range(len(of))), unique=True).map(lambda places: [of[n] for n in sorted(places)])


JOBS = st.builds(
    lambda contract, filters, features, output, ids, tenfold: job(
        contract=contract,
        filters=filters,
        derive=[expression("z", X * 10), category("zn", "n")] if tenfold else [],
        features=[number("x"), *features],
        output=[row_id("id"), prediction("p"), *output],
        row_id="n" if ids else None,
        gates=Gates(null_percent={"p": 50} | ({"n": 50} if any(one.name == "n" for one in output) else {})),
    ),
    *(some(of) for of in (CONTRACT, FILTERS, FEATURES, OUTPUT)),
    st.booleans(),
    st.booleans(),
)
NUMBERS = st.sampled_from([None, NAN, INF, -INF, -7.0, 0.0, 0.5, 1.0, 2.0, 3.5, 60.0, 61.0, 1e19])
FRAMES = st.lists(st.tuples(NUMBERS, NUMBERS, st.sampled_from([None, "a", "b", "z"])), max_size=8).map(
    lambda rows: pl.DataFrame(rows, schema={"x": pl.Float64, "n": pl.Float64, "t": pl.String}, orient="row")
)
REFUSED = st.frozensets(st.sampled_from(["infinite", "nan", "null"]))


def scored(declared, model, frame, first_row):
    """What becomes of rows that begin at a row of their file; each of them is accounted for."""
    made = score_rows(declared, model, frame, constants(), split(), first_row)
    made.counts.require_conserved(frame.height, "here")
    assert (made.counts.scored, made.counts.quarantined) == (made.frame.height, made.rejected.height)
    return made


def outcomes(made):
    """(scored rows, row number -> reasons): all that one wants to know."""
    # Which of several oddities the model could not take is told better in company.
    told = pl.element().str.replace(r"^feature:\w+:(infinite|nan|null)$", "the model")
    reasons = made.rejected.select(ROW, pl.col(REASONS).list.eval(told).list.unique(maintain_order=True))
    return made.frame.rows(), dict(reasons.iter_rows())


def tally(several):
    """Counts of rows and of what does not depend on company; zeros are no news."""
    total = sum((made.counts for made in several), Counts())
    dicts = (total.filtered, total.warnings, total.nulls)
    return (
        total.rows_in,
        total.scored,
        total.quarantined,
        *({name: rows for name, rows in found.items() if rows} for found in dicts),
    )


@given(FRAMES, JOBS, REFUSED, st.lists(st.integers(0, 8), max_size=3), st.integers(0, 1_000))
@example(pl.DataFrame(schema={"x": pl.Float64, "n": pl.Float64, "t": pl.String}), job(), frozenset(), [], 0)
def test_each_row_has_one_outcome_whatever_its_neighbours_and_the_cuts(frame, declared, refuses, cuts, first_row):
    model = Choosy(tuple(feature.name for feature in declared.features), refuses)
    whole = scored(declared, model, frame, first_row)
    for places in ([*cuts], range(1, frame.height)):  # as drawn, and row by row
        bounds = sorted({0, frame.height, *(place for place in places if place < frame.height)})
        pieces = [scored(declared, model, frame[low:high], first_row + low) for low, high in pairwise(bounds)]
        rows = [row for piece in pieces for row in outcomes(piece)[0]]
        reasons = {row: told for piece in pieces for row, told in outcomes(piece)[1].items()}
        assert repr((rows, reasons)) == repr(outcomes(whole))
        assert tally(pieces) == tally([whole])


@given(FRAMES, JOBS, REFUSED, st.integers(0, 1_000))
def test_rejected_rows_are_the_input_s_and_every_one_has_a_reason(frame, declared, refuses, first_row):
    model = Choosy(tuple(feature.name for feature in declared.features), refuses)
    made = scored(declared, model, frame, first_row)
    rows = made.rejected[ROW].to_list()
    assert rows == sorted(set(rows))
    assert made.rejected.select(frame.columns).equals(frame[[row - first_row for row in rows]])
    reasons = made.rejected[REASONS].to_list()
    assert all(told and len(told) == len(set(told)) for told in reasons)
    assert made.counts.reasons == {
        reason: sum(reason in told for told in reasons) for reason in {one for told in reasons for one in told}
    }


@given(FRAMES, JOBS, REFUSED)
def test_no_published_value_is_of_a_rejected_row_and_none_is_odd(frame, declared, refuses):
    model = Choosy(tuple(feature.name for feature in declared.features), refuses)
    made = scored(declared, model, frame, 0)
    assert made.frame.schema == {column.name: column.dtype for column in declared.output}
    assert made.frame["p"].is_finite().all()
    assert not made.frame["id"].has_nulls()
    if declared.row_id is None:
        assert not {f"2021-02_0-{row}" for row in made.rejected[ROW]} & set(made.frame["id"])
