"""Catalog: which adapter or job stands behind a name; adapters are imported when they are used.

A name that needs a library which is not installed gives one error that names the extra.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from scoreline.errors import MissingExtra, UsageError

SOURCES = {
    "corrected": "scoreline.sources.corrected:CorrectedSource",
    "csv": "scoreline.sources.csv:CsvSource",
    "given": "scoreline.sources.given:GivenFile",
    "inbox": "scoreline.sources.inbox:InboxSource",
    "jsonl": "scoreline.sources.jsonl:JsonlSource",
    "parquet": "scoreline.sources.parquet:ParquetSource",
}
SINKS = {"files": "scoreline.sinks.files:FileSink"}
FORMATS = {
    "csv": "scoreline.formats.csv_output:CsvOutput",
    "jsonl": "scoreline.formats.jsonl_output:JsonlOutput",
    "parquet": "scoreline.formats.parquet:ParquetOutput",
}
"""How a sink writes files."""
ENGINES = {
    "local": "scoreline.engines.local:LocalEngine",
    "threads": "scoreline.engines.threads:ThreadEngine",
    "processes": "scoreline.engines.processes:ProcessEngine",
}
ROOMS = {"machine": "scoreline.engines.room:Room"}
LEDGERS = {"sqlite": "scoreline.ledgers.sqlite:SqliteLedger", "memory": "scoreline.ledgers.memory:MemoryLedger"}
MODEL_STORES = {
    "any": "scoreline.models.routing:RoutingStore",
    "function": "scoreline.models.function:FunctionStore",
    "mlflow": "scoreline.models.mlflow_store:MlflowStore",
    "path": "scoreline.models.path_store:PathStore",
}
REGISTRIES = {
    "mlflow": "scoreline.registries.mlflow:MlflowRegistry",
    "path": "scoreline.registries.path:PathRegistry",
}
MODEL_WRITERS = {"sklearn": "scoreline.models.writing:SklearnWriter"}
OBSERVERS = {
    "progress": "scoreline.observers.progress:ProgressBar",
    "lines": "scoreline.observers.lines:ProgressLines",
    "log": "scoreline.observers.log:EventLog",
    "metrics": "scoreline.observers.metrics:Metrics",
    "backfill-bar": "scoreline.observers.backfill:BackfillBar",
    "backfill-lines": "scoreline.observers.backfill:BackfillLines",
}
JOBS = ("nyc_green", "nyc_simulated")
"""Jobs that come along; a name means the same in every folder."""
_EXTRAS = {"sklearn": "sklearn", "pandas": "sklearn", "joblib": "sklearn", "prometheus_client": "metrics"}


def find(kind: dict[str, str], name: str) -> Any:
    """The class that ``name`` stands for.

    Raises:
        UsageError: no such name.
        MissingExtra: its library is not installed.
    """
    if name not in kind:
        raise UsageError(f"{name!r} is unknown", hint=f"known: {', '.join(sorted(kind))}")
    module, _, attribute = kind[name].partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        raise MissingExtra(
            f"{name!r} needs {error.name}, which is not installed", hint=f"pip install 'scoreline[{extra}]'"
        ) from error


def job_file(name: str) -> Path | None:
    """The file of a job that comes along, None for any other name."""
    return Path(__file__).absolute().parent / "jobs" / name / "job.py" if name in JOBS else None
