"""A model may be of a class that lives in a module beside the job; each job has its own."""

import hashlib
import pickle
import subprocess
import sys

import polars as pl

from scoreline.models.kept import KeptModel

MODULE = """
import numpy as np

class Scale:
    n_features_in_ = 1

    def predict(self, matrix):
        return np.asarray(matrix)[:, 0] * {factor}
"""
MAKE = "import pickle, mine; open('model.pkl', 'wb').write(pickle.dumps(mine.Scale()))"


def model_in(folder, factor):
    folder.mkdir()
    (folder / "mine.py").write_text(MODULE.format(factor=factor))
    subprocess.run([sys.executable, "-c", MAKE], cwd=folder, check=True)
    content = (folder / "model.pkl").read_bytes() + b"\n" * factor  # two jobs, two digests
    (folder / "model.pkl").write_bytes(content)
    return KeptModel(str(folder / "model.pkl"), hashlib.sha256(content).hexdigest(), str(folder))


def test_two_jobs_with_neighbours_of_one_name_load_their_own_classes(tmp_path):
    rows = pl.DataFrame({"x": [1.0, 2.0]})
    doubling, tripling = model_in(tmp_path / "a", 2), model_in(tmp_path / "b", 3)
    assert doubling.load(["x"]).predict(rows).values.to_list() == [2.0, 4.0]
    assert tripling.load(["x"]).predict(rows).values.to_list() == [3.0, 6.0]
    assert "mine" not in sys.modules


def test_such_a_model_file_travels_to_workers(tmp_path):
    handle = pickle.loads(pickle.dumps(model_in(tmp_path / "c", 5)))
    assert handle.load(["x"]).predict(pl.DataFrame({"x": [1.0]})).values.to_list() == [5.0]
