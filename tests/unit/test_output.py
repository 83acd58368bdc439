import pickle
from datetime import UTC, datetime

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given

from scoreline import computed, model_version, partition_slug, passthrough, prediction, row_id, run_id, scored_at
from scoreline.errors import InputInvalid, JobError, LossyCast
from scoreline.output import GIVEN, MODEL_VERSION, PARTITION, PREDICTION, PREFIX, ROW_ID, RUN_ID, SCORED_AT, shape


def fitting(frame, columns):
    """The declared columns of rows that all fit them."""
    made, broken = shape(frame, columns)
    assert broken == {}
    return made


FRAME = pl.DataFrame(
    {
        "x": [1.0, None, 3.0],
        "name": ["a", None, "c"],
        PREDICTION: [0.5, 1.5, 2.5],
        ROW_ID: ["r0", "r1", "r2"],
        MODEL_VERSION: ["v"] * 3,
        RUN_ID: ["run"] * 3,
        PARTITION: ["2021-02"] * 3,
        SCORED_AT: [datetime(2021, 3, 1, tzinfo=UTC)] * 3,
    }
)


def test_columns_come_in_declared_order_with_declared_types():
    columns = [
        row_id("id"),
        passthrough("x", pl.Int64),
        passthrough("label", pl.String, "name"),
        prediction("y"),
        prediction("y32", pl.Float32),
        partition_slug(),
        model_version(),
        run_id(),
        scored_at(),
    ]
    made = fitting(FRAME, columns)
    assert made.schema == {column.name: column.dtype for column in columns}
    assert list(made.schema) == [column.name for column in columns]
    assert made.row(0) == ("r0", 1, "a", 0.5, 0.5, "2021-02", "v", "run", datetime(2021, 3, 1, tzinfo=UTC))


def test_a_nullable_integer_that_arrives_as_float_stays_one():
    assert fitting(FRAME, [passthrough("x", pl.Int64)])["x"].to_list() == [1, None, 3]


def test_a_later_column_may_use_an_earlier_one():
    columns = [prediction("y"), computed("z", pl.col("y") * 2), computed("w", pl.col("z") - pl.col("y"))]
    assert fitting(FRAME, columns)["w"].to_list() == [0.5, 1.5, 2.5]


def test_an_earlier_column_sees_the_input_also_where_a_later_one_takes_its_name():
    columns = [computed("was", pl.col("x")), computed("x", pl.col("x") * 10), computed("now", pl.col("x"))]
    made = fitting(FRAME, columns)
    assert (made["was"].to_list(), made["now"].to_list()) == ([1.0, None, 3.0], [10.0, None, 30.0])


def test_what_is_passed_through_is_the_input_although_an_earlier_column_took_its_name():
    columns = [computed("x", pl.col("x") * 10), passthrough("raw", pl.Int64, "x")]
    assert fitting(FRAME, columns)["raw"].to_list() == [1, None, 3]


def test_a_constant_is_given_to_every_row():
    assert fitting(FRAME, [computed("one", pl.lit(1), pl.Int64)])["one"].to_list() == [1, 1, 1]


def test_no_rows_make_no_rows_of_the_declared_types():
    columns = [prediction("y"), computed("c", pl.lit(1), pl.Int64), passthrough("name", pl.String)]
    made = fitting(FRAME.clear(), columns)
    assert (made.height, made.schema) == (0, {"y": pl.Float64, "c": pl.Int64, "name": pl.String})


@given(st.lists(st.none() | st.floats(-1e6, 1e6) | st.integers(-5, 5).map(float), min_size=1))
def test_a_column_declared_as_integer_holds_the_very_values_or_names_the_rows_that_do_not_fit(values):
    made, broken = shape(pl.DataFrame({"n": pl.Series(values, dtype=pl.Float64)}), [passthrough("n", pl.Int64)])
    fits = [value is None or value.is_integer() for value in values]
    assert [value for value, fit in zip(made["n"], fits, strict=True) if fit] == [
        value for value, fit in zip(values, fits, strict=True) if fit
    ]
    masks = {reason: mask.to_list() for reason, mask in broken.items()}
    assert masks == ({} if all(fits) else {"output:n:not Int64": [not fit for fit in fits]})


def test_each_column_names_its_own_misfits_and_columns_made_of_it_are_still_made():
    frame = pl.DataFrame({"a": [1.0, 2.5, 3.0], "b": [300, 1, 300]})
    columns = [passthrough("a", pl.Int64), passthrough("b", pl.Int8), computed("c", pl.col("a") * 2, pl.Int64)]
    made, broken = shape(frame, columns)
    assert {reason: mask.to_list() for reason, mask in broken.items()} == {
        "output:a:not Int64": [False, True, False],
        "output:b:not Int8": [True, False, True],
    }
    assert (made.schema, made["c"].to_list()[::2]) == ({"a": pl.Int64, "b": pl.Int8, "c": pl.Int64}, [2, 6])


def test_a_type_that_no_value_can_become_is_refused():
    with pytest.raises(LossyCast, match="'name' is String and cannot become Int64"):
        shape(FRAME, [passthrough("name", pl.Int64)])


@pytest.mark.parametrize(
    "expr",
    [
        pl.col("missing"),
        pl.col("name") * 2,
        pl.col("x").head(2),  # neither one value for each row nor one for all
        pl.col("x").filter(pl.col("x") > 0),
    ],
)
def test_an_expression_that_does_not_fit_the_rows_is_refused_by_name(expr):
    with pytest.raises(InputInvalid, match="output column 'bad'"):
        shape(FRAME, [computed("bad", expr)])


NESTED = [pl.List(pl.Int64), pl.Struct({"a": pl.Int64}), pl.Array(pl.Int64, 2), pl.Object, pl.Unknown]


@pytest.mark.parametrize("dtype", [*NESTED, pl.List, pl.Struct, pl.Array, pl.Enum])
def test_a_type_that_not_every_sink_can_hold_is_refused(dtype):
    with pytest.raises(JobError, match="output column 'x'"):
        passthrough("x", dtype)


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Int64(), pl.Datetime, pl.Datetime("us"), pl.Enum(["a"]), pl.Boolean])
def test_a_type_may_be_given_as_class_or_as_instance(dtype):
    column = passthrough("x", dtype)
    assert isinstance(column.dtype, pl.DataType)
    assert column.dtype == dtype


def test_a_python_function_in_a_column_is_refused():
    with pytest.raises(JobError, match="Python function"):
        computed("x", pl.col("x").map_elements(repr, return_dtype=pl.String))


@pytest.mark.parametrize(
    ("column", "volatile"),
    [
        (run_id(), True),
        (scored_at(), True),
        (row_id(), False),
        (model_version(), False),
        (partition_slug(), False),
        (prediction(), False),
    ],
)
def test_only_what_differs_between_runs_is_volatile(column, volatile):
    assert column.volatile is volatile


def test_names_that_the_run_gives_cannot_be_those_of_a_job():
    assert all(name.startswith(PREFIX) for name in GIVEN)
    assert len(set(GIVEN)) == len(GIVEN)


DECLARED = [
    passthrough("x", pl.Int64),
    passthrough("y", pl.Int64, "x"),
    passthrough("x", pl.Int32),
    passthrough("x", pl.Datetime("us")),
    passthrough("x", pl.Datetime("ms")),
    passthrough("x", pl.Datetime("us", "UTC")),
    passthrough("x", pl.Enum([str(number) for number in range(200)])),
    passthrough("x", pl.Enum([str(number) for number in range(199)] + ["x"])),
    prediction("x"),
    computed("x", pl.col("x") * 2),
    computed("x", pl.col("x") * 3),
]


def test_columns_that_differ_are_declared_differently():
    assert len({repr(column.declaration()) for column in DECLARED}) == len(DECLARED)


@pytest.mark.parametrize("column", DECLARED)
def test_a_column_pickles(column):
    assert pickle.loads(pickle.dumps(column)).declaration() == column.declaration()
