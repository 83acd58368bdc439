"""The contract suites find faults: each implementation here has one, and the check that is meant for it fails."""

import functools
import pickle

import polars as pl
import pytest
from tests.broken import engines, ledgers, sinks, sources, text_sinks
from tests.contracts import ledger_processes

from scoreline.engines.processes import ProcessEngine
from scoreline.errors import ScorelineError
from scoreline.formats.published import opened
from scoreline.ledgers.sqlite import SqliteLedger
from scoreline.partition import Grid
from scoreline.sinks.files import FileSink
from scoreline.sources.csv import CsvSource
from scoreline.sources.jsonl import JsonlSource
from scoreline.sources.parquet import ParquetSource
from scoreline.template import Template
from scoreline.testing.engines import ProcessEngineSuite
from scoreline.testing.file_sinks import FileSinkSuite
from scoreline.testing.parquet_sources import ParquetSourceSuite
from scoreline.testing.shared_ledgers import SharedLedgerSuite
from scoreline.testing.text_sources import CsvSourceSuite, JsonlSourceSuite
from scoreline.testing.timed_engines import TimedProcessEngineSuite


def _ledger_suite(kind, folder):
    return SharedLedgerSuite(functools.partial(kind, folder / "ledger.sqlite"))


def _sink_suite(kind, folder):
    def read(path):
        try:
            with (folder / "output" / path).open("rb") as handle:
                return pl.read_parquet(handle)
        except FileNotFoundError:
            return None

    return FileSinkSuite(
        functools.partial(kind, folder / "output", Template("{slug}.parquet")), read, folder / "output"
    )


def _text_sink_suite(kind, folder):
    def read(path):
        try:
            with (folder / "output" / path).open("rb") as handle:
                return opened(folder / "output" / path, handle).frame()
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise AssertionError(str(error)) from error

    make = functools.partial(kind, folder / "output", Template("{slug}.csv"))
    return FileSinkSuite(make, read, folder / "output", lambda name: "provenance/" in name or "label.part" in name)


def _source_suite(kind, folder):
    return ParquetSourceSuite(lambda place: kind(place, Template("{slug}/*.parquet"), Grid("named")), folder)


def _csv_suite(kind, folder):
    return CsvSourceSuite(lambda place: kind(place, Template("{slug}/*.csv"), Grid("named")), folder)


def _jsonl_suite(kind, folder):
    types = (("whole", pl.Int64()), ("float", pl.Float64()), ("flag", pl.Boolean()), ("text", pl.String()))

    def make(place, *told):
        return kind(place, Template("{slug}/*.jsonl"), Grid("named"), (), *told)

    return JsonlSourceSuite(make, lambda place: make(place, types), folder)


def _engine_suite(kind, folder):
    return ProcessEngineSuite(kind, folder)


def _timed_engine_suite(kind, folder):
    return TimedProcessEngineSuite(lambda workers, timeout: kind(workers, timeout=timeout), folder)


_KINDS = [
    (_ledger_suite, SqliteLedger, ledgers.FAULTS),
    (_sink_suite, FileSink, sinks.FAULTS),
    (_text_sink_suite, text_sinks.CsvSink, text_sinks.FAULTS),
    (_source_suite, ParquetSource, sources.FAULTS),
    (_csv_suite, CsvSource, sources.CSV_FAULTS),
    (_jsonl_suite, JsonlSource, sources.JSONL_FAULTS),
    (_engine_suite, ProcessEngine, engines.FAULTS),
    (_timed_engine_suite, ProcessEngine, engines.TIMED_FAULTS),
]
_FAULTS = [
    pytest.param(suite, fault, id=f"{fault.__module__.rpartition('.')[2]}-{fault.__name__}")
    for suite, _, faults in _KINDS
    for fault in faults
]
_CHECKS = [
    pytest.param(suite, real, check, id=f"{real.__name__}-{check}")
    for suite, real, faults in _KINDS
    for check in dict.fromkeys(fault.found_by for fault in faults)
]


_FAILURES = (AssertionError, ScorelineError, pickle.PicklingError)
"""Nothing else: a fault that ends in an error of Python itself would prove nothing about its check."""


@pytest.mark.parametrize(("suite", "fault"), _FAULTS)
def test_a_fault_is_found_by_its_check(suite, fault, tmp_path):
    with pytest.raises(_FAILURES):
        suite(fault, tmp_path).run(fault.found_by)


@pytest.mark.parametrize(("suite", "real", "check"), _CHECKS)
def test_the_unbroken_one_passes_that_check(suite, real, check, tmp_path):
    suite(real, tmp_path).run(check)


@pytest.mark.parametrize(
    ("steps", "states"),
    [
        (ledger_processes.publish, ledger_processes.WHOLE_STATES),
        (ledger_processes.refuse_and_release, ledger_processes.RELEASED_STATES),
    ],
    ids=["published", "released"],
)
def test_a_ledger_without_transactions_is_found_by_deaths_between_statements(tmp_path, steps, states):
    left = ledger_processes.left_behind(ledgers.HasNoTransactions, tmp_path / "ledger.sqlite", steps)
    assert set(left) > set(states)
