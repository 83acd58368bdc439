"""An estimator that stops in the middle of its work, so that a test can do something to the run meanwhile.

It is copied beside the job file, as a user's own module would lie there. Its gate is on the rows of a split, not on the
thousand rows on which a run tries the model first.
"""

import os
import time
from pathlib import Path

from sklearn.linear_model import LinearRegression


class Gate(LinearRegression):
    """Predicts after the file GATE_GO has appeared, and makes the file GATE_MARK first."""

    def predict(self, X):  # noqa: N803 - scikit-learn's name
        if X.shape[0] > 1_500 and "GATE_MARK" in os.environ:
            Path(os.environ["GATE_MARK"]).touch()
            while not Path(os.environ["GATE_GO"]).exists():
                time.sleep(0.005)
        return super().predict(X)
