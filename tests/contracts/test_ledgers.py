"""Every ledger keeps the contract of ledgers."""

import functools

import pytest

from scoreline.ledgers.memory import MemoryLedger
from scoreline.ledgers.sqlite import SqliteLedger
from scoreline.testing.ledgers import LedgerSuite
from scoreline.testing.shared_ledgers import SharedLedgerSuite


@pytest.mark.parametrize("check", LedgerSuite.checks())
def test_memory_ledger(check):
    LedgerSuite(MemoryLedger).run(check)


@pytest.mark.parametrize("check", SharedLedgerSuite.checks())
def test_sqlite_ledger(check, tmp_path):
    SharedLedgerSuite(functools.partial(SqliteLedger, tmp_path / "home" / "ledger.sqlite")).run(check)
