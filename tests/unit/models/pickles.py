"""Pickles for tests: small fitted models, and one that leaves a mark when it is loaded."""

import pickle
import pickletools
from pathlib import Path

import numpy as np
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression

RECORDS = [{"r": "1_2", "d": 1.0}, {"r": "3_4", "d": 2.0}, {"r": "5_6", "d": 3.5}]
TARGET = np.array([5.0, 9.0, 12.0])


class Trap:
    """Unpickling it writes the file ``mark``: code that a stranger's model would run."""

    def __init__(self, mark):
        self.mark = Path(mark)

    def __reduce__(self):
        return Path.touch, (self.mark,)


def trap(path, mark, protocol=None):
    """A file that looks like a model and is a trap."""
    content = pickle.dumps({"model": Trap(mark)}, protocol)
    assert any(opcode.name == "REDUCE" for opcode, _, _ in pickletools.genops(content))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def pair(records=RECORDS, target=TARGET, **options):
    """(DictVectorizer, LinearRegression), fitted."""
    vectorizer = DictVectorizer(**options)
    return vectorizer, LinearRegression().fit(vectorizer.fit_transform(records), target[: len(records)])
