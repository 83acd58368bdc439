"""The notebooks run from top to bottom, in a folder of their own, and are committed without outputs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(ROOT.glob("examples/*/*.ipynb"))


class Kernels(AsyncKernelManager):
    """Kernels of this very environment, whatever kernels the user has installed."""

    @property
    def kernel_spec(self):
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="tested", language="python")


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """Where Jupyter and IPython keep their files, instead of the user's own folders."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("IPYTHONDIR", str(folder))


def executed(notebook, folder):
    client = nbclient.NotebookClient(
        nbformat.read(notebook, as_version=4),
        timeout=300,
        kernel_manager_class=Kernels,
        resources={"metadata": {"path": str(folder)}},
    )
    return client.execute()


def test_there_is_a_notebook():
    assert [path.name for path in NOTEBOOKS] == ["train.ipynb"]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.parent.name)
def test_a_notebook_runs_from_top_to_bottom(notebook, tmp_path, runtime, monkeypatch):
    folder = tmp_path / "example"
    shutil.copytree(notebook.parent, folder, ignore=shutil.ignore_patterns("demo", "data", ".scoreline*"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where the notebook works
    before = {path.name for path in folder.iterdir()}
    done = executed(notebook, folder)
    outputs = [output for cell in done.cells for output in cell.get("outputs", [])]
    assert [output for output in outputs if output.output_type == "error"] == []
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    made = {path.name for path in folder.iterdir()} - before - {"__pycache__"}
    assert made == set()
    told = "".join(output.text for output in outputs if output.get("name") == "stdout")
    assert "kept as models:/nyc-taxi-notebook/1" in told


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.parent.name)
def test_a_notebook_is_committed_without_outputs(notebook):
    found = nbformat.read(notebook, as_version=4)
    nbformat.validate(found)
    code = [cell for cell in found.cells if cell.cell_type == "code"]
    assert code
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.parent.name)
def test_a_notebooks_code_keeps_the_projects_style(notebook):
    words = [str(Path(sys.executable).with_name("ruff")), "check", "--ignore", "B018", str(notebook)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
