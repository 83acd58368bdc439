"""A model predicts in one thread, so that the order in which threads end changes no bit of a prediction."""

import numpy as np
import polars as pl
import pytest

from scoreline.models.sklearn import adapt

ROWS = np.random.default_rng(1).random((20_000, 3)) * [1, 10, 100]
TARGET = ROWS @ [3.0, 1.0, 0.1] + np.sin(ROWS[:, 1])


def forest(**more):
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(n_estimators=40, max_depth=8, n_jobs=2, random_state=0, **more)


def nested():
    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
    from sklearn.ensemble import VotingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    voting = VotingRegressor([("a", forest()), ("b", forest(max_features=2))], n_jobs=2)
    columns = ColumnTransformer([("scaled", StandardScaler(), [0, 1, 2])], n_jobs=2)
    return make_pipeline(columns, TransformedTargetRegressor(voting))


def jobs(estimator, seen):
    """All n_jobs in an estimator and its parts, found another way: through what pickling sees."""
    import pickle

    class Looking(pickle.Pickler):
        def reducer_override(self, part):
            if hasattr(part, "get_params") and not isinstance(part, type) and hasattr(part, "n_jobs"):
                seen.append(part.n_jobs)
            return NotImplemented

    import io

    Looking(io.BytesIO()).dump(estimator)
    return seen


@pytest.mark.parametrize("make", [forest, nested])
def test_the_same_rows_give_the_same_bits_each_time(make):
    model = adapt(make().fit(ROWS, TARGET), ("a", "b", "c"), {})
    frame = pl.DataFrame(ROWS, schema=["a", "b", "c"])
    first = model.predict(frame).values
    assert all(model.predict(frame).values.equals(first) for _ in range(8))


def test_every_part_of_a_model_is_told():
    estimator = nested().fit(ROWS[:500], TARGET[:500])
    assert set(jobs(estimator, [])) == {2}
    adapt(estimator, ("a", "b", "c"), {})
    assert set(jobs(estimator, [])) == {1}
