import numpy as np
import polars as pl
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from sklearn.feature_extraction import DictVectorizer

from scoreline.errors import ModelFailed, ModelInvalid
from scoreline.models.dict_lookup import DictLookup, VocabularyLookup, compare_matrices, with_edges

NAMES = ["a", "b", "a=b", "b=", "PU_DO", "n", "n=1", "", "ü"]
TEXTS = st.sampled_from(["", "1", "1.0", "b", "b=c", "=", "a=b", "x", "\x00 never seen", "ü", " ", "None"]) | st.text()
WHOLE = st.integers(-(2**63), 2**63 - 1)
TEXT, NUMBER = "text", "number"


@st.composite
def columns(draw, kind):
    """A column to score, of a type that the feature may arrive in: (dtype, values with nulls)."""
    if kind == TEXT:
        dtype, values = draw(st.sampled_from([(pl.String, TEXTS), (pl.Categorical, TEXTS)]))
    else:
        dtype, values = draw(
            st.sampled_from(
                [
                    (pl.Float64, st.floats()),
                    (pl.Int64, WHOLE),
                    (pl.Boolean, st.booleans()),
                    (pl.UInt64, st.integers(0, 2**64 - 1)),
                    (pl.Null, st.none()),
                ]
            )
        )
    return dtype, st.none() | values


@st.composite
def cases(draw):
    """(records to learn from, features by name in the job's order, frame to score, options of the vectorizer)."""
    kinds = draw(st.dictionaries(st.sampled_from(NAMES), st.sampled_from([TEXT, NUMBER]), min_size=1, max_size=4))
    known = {name: TEXTS if kind == TEXT else st.floats() | WHOLE | st.booleans() for name, kind in kinds.items()}
    records = draw(st.lists(st.fixed_dictionaries(known), min_size=1, max_size=5))
    rows = draw(st.integers(1, 6))
    frame = {}
    for name, kind in kinds.items():
        dtype, values = draw(columns(kind))
        learned = st.sampled_from([record[name] for record in records]) if kind == TEXT else values
        frame[name] = pl.Series(draw(st.lists(values | learned, min_size=rows, max_size=rows)), dtype=dtype)
    options = {
        "sparse": draw(st.booleans()),
        "sort": draw(st.booleans()),
        "separator": draw(st.sampled_from(["=", "_", "", "=="])),
        "dtype": draw(st.sampled_from([np.float64, np.float32])),
    }
    return records, draw(st.permutations(sorted(kinds))), pl.DataFrame(frame), options


def fitted(records, options):
    with np.errstate(over="ignore"):
        return DictVectorizer(**options).fit(records)


def assert_same(original, candidate):
    assert type(original) is type(candidate)
    assert (original.shape, original.dtype) == (candidate.shape, candidate.dtype)
    if isinstance(original, np.ndarray):
        np.testing.assert_array_equal(candidate, original)
    else:
        for part in ("indptr", "indices", "data"):
            np.testing.assert_array_equal(getattr(candidate, part), getattr(original, part))


SMALL = {"sparse": True}


@given(cases())
@example(
    ([{"r": "1_2", "d": 1.0}], ["r", "d"], pl.DataFrame({"r": ["1_2", "9_9", None, ""], "d": [2, None, 0, 1]}), {})
)
@example(([{"a": "b=c"}, {"a": ""}], ["a"], pl.DataFrame({"a": ["b=c", "b", "", "="]}), {}))
@example(
    (  # two features that share the column a=b=c
        [{"a": "b=c", "a=b": "c"}, {"a": "x", "a=b": "d"}],
        ["a", "a=b"],
        pl.DataFrame({"a": ["b=c", "x", "b=c"], "a=b": ["c", "c", "d"]}),
        {"sparse": False},
    )
)
@example(([{"n": 1.0, "b": True}], ["n", "b"], pl.DataFrame({"n": [float("nan"), -0.0], "b": [True, None]}), {}))
@example(([{"d": 1.0}], ["d"], pl.DataFrame({"d": [2**63 - 1, 2**53 + 1]}), {"dtype": np.float32}))
def test_the_matrix_is_the_one_that_the_vectorizer_itself_makes(case):
    records, inputs, frame, options = case
    vectorizer = fitted(records, options)
    with np.errstate(over="ignore"):
        original = vectorizer.transform(frame.select(inputs).to_dicts())
        lookup = VocabularyLookup.of(vectorizer, tuple(inputs), 100)
        assume(all(name in lookup.texts or name in lookup.numbers for name in inputs))
        made = lookup.matrix(frame)
    assert_same(original, made)
    assert compare_matrices(original, made) == ""


@given(cases())
def test_unseen_counts_the_rows_whose_text_the_vocabulary_does_not_know(case):
    records, inputs, frame, options = case
    vectorizer = fitted(records, options)
    lookup = VocabularyLookup.of(vectorizer, tuple(inputs), 100)
    known = set(vectorizer.vocabulary_)
    texts = [name for name in inputs if isinstance(frame.schema[name], pl.String | pl.Categorical)]
    prefixes = {name: name + vectorizer.separator for name in texts}
    entries = {name: [name if one is None else prefixes[name] + one for one in frame[name]] for name in texts}
    expected = {name: sum(entry not in known for entry in own) for name, own in entries.items()}
    expected = {name: count for name, count in expected.items() if count}
    assert lookup.unseen(frame) == expected
    with np.errstate(over="ignore"):
        assert lookup.slices(frame)[1] == expected


def test_a_lookup_claims_the_whole_vocabulary_of_its_features():
    vectorizer = fitted([{"a": "x", "n": 1.0}], SMALL)
    VocabularyLookup.of(vectorizer, ("a", "n"), 100).require_complete()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (("a",), "1 entries of features that the job does not declare, such as 'n'"),
        (("a", "n", "z"), "never seen the feature 'z'"),
        (("n",), "such as 'a=x'"),
    ],
)
def test_a_job_that_declares_other_features_than_the_vocabulary_is_refused(inputs, message):
    vectorizer = fitted([{"a": "x", "n": 1.0}], SMALL)
    with pytest.raises(ModelInvalid, match=message):
        VocabularyLookup.of(vectorizer, inputs, 100).require_complete()


@pytest.mark.parametrize(
    ("feature", "values", "message"),
    [
        # To the vectorizer these would contribute nothing, without a word.
        ("a", [1.0], r"knows the feature 'a' as a category, but the job makes it Float64"),
        ("a", [1], r"knows the feature 'a' as a category, but the job makes it Int64"),
        ("a", [True], r"knows the feature 'a' as a category, but the job makes it Boolean"),
        ("n", ["1.0"], r"knows the feature 'n' as a number, but the job makes it String"),
        ("a", [["x"]], r"List\(String\); a DictVectorizer is given text and numbers"),
    ],
)
def test_a_number_for_a_category_and_a_category_for_a_number_are_refused(feature, values, message):
    vectorizer = fitted([{"a": "x", "n": 1.0}], SMALL)
    lookup = VocabularyLookup.of(vectorizer, ("a", "n"), 100)
    frame = pl.DataFrame({"a": ["x"], "n": [1.0]}).with_columns(pl.Series(feature, values))
    for call in (lookup.matrix, lookup.unseen, lookup.slices):
        with pytest.raises(ModelInvalid, match=message):
            call(frame)


def test_the_vectorizer_itself_says_nothing_about_a_numeric_value_of_a_category():
    vectorizer = fitted([{"a": "1"}, {"a": "2"}], SMALL)
    assert vectorizer.transform([{"a": 1}, {"a": None}, {"a": "3"}]).nnz == 0


# --- what parity is shown on -----------------------------------------------------------------------------------------


@given(cases())
def test_edges_keep_the_real_rows_first_and_add_what_is_rare(case):
    _, inputs, frame, _ = case
    tried = with_edges(frame.select(inputs))
    texts = [name for name in inputs if tried.schema[name] == pl.String]
    assert tried.columns == inputs
    assert tried.height > frame.height
    for name in inputs:
        added = tried[name][frame.height :]
        assert added.null_count() >= 1
        assert "" in added if name in texts else added.is_nan().any()


def test_no_rows_have_no_edges():
    assert with_edges(pl.DataFrame(schema={"a": pl.String})).height == 0


def changed(matrix, change):
    copy = matrix.copy()
    change(copy)
    return copy


def test_one_changed_value_of_a_sparse_matrix_is_found():
    matrix = fitted([{"a": "x", "n": 2.0}], SMALL).transform([{"a": "x", "n": float("nan")}, {"n": 1.0}])
    assert compare_matrices(matrix, matrix.copy()) == ""
    for part in ("data", "indices"):
        other = matrix.copy()
        getattr(other, part)[0] += 1
        assert "differ" in compare_matrices(matrix, other)


def test_one_changed_value_of_a_dense_matrix_is_found():
    matrix = np.array([[1.0, float("nan")]])
    assert compare_matrices(matrix, matrix.copy()) == ""
    assert "differ" in compare_matrices(matrix, np.array([[1.0, 2.0]]))
    assert "differ" in compare_matrices(matrix, np.array([[1.0 + 2**-52, float("nan")]]))


@pytest.mark.parametrize(
    "other", [np.zeros((2, 2)), np.zeros((1, 2), dtype=np.float32), fitted([{"a": 1, "b": 1}], SMALL).transform([{}])]
)
def test_another_shape_type_or_container_is_found(other):
    assert compare_matrices(np.zeros((1, 2)), other) != ""


# --- the model -------------------------------------------------------------------------------------------------------


def lookup_model(sparse, rows_at_once):
    vectorizer = fitted([{"a": "x", "n": 1.0}, {"a": "y", "n": 2.0}], {"sparse": sparse})
    sizes = []

    def call(matrix):
        sizes.append(matrix.shape[0])
        return pl.Series("prediction", np.asarray(matrix.sum(axis=1)).ravel())

    lookup = VocabularyLookup.of(vectorizer, ("a", "n"), rows_at_once)
    return DictLookup(lookup, call, {"digest": "d"}), sizes


@pytest.mark.parametrize("sparse", [True, False])
def test_an_estimator_sees_no_more_rows_at_once_than_it_may_make_dense(sparse):
    model, sizes = lookup_model(sparse, 2)
    frame = pl.DataFrame({"a": ["x", "z", None, "y", "x"], "n": [1.0, 2.0, 3.0, 4.0, 5.0]})
    found = model.predict(frame)
    assert found.values.to_list() == [2.0, 2.0, 3.0, 5.0, 6.0]
    assert found.unseen == {"a": 2}
    assert sizes == [2, 2, 1]


def test_an_accelerated_form_has_none_itself_and_vouches_for_nobody():
    model, _ = lookup_model(True, 2)
    assert model.accelerated() is None
    with pytest.raises(ModelFailed):
        model.parity(model, pl.DataFrame())


def test_it_says_what_it_is():
    model, _ = lookup_model(True, 2)
    assert model.describe() == {"kind": "vocabulary look-up", "inputs": ["a", "n"], "digest": "d"}
