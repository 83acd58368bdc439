"""Contract suites and doubles, for Scoreline's own tests and for everybody who writes an adapter.

A suite is a class of small checks over a factory; each check states one guarantee of a contract in `scoreline.abc`.
No test framework is needed to run one; with pytest, each check becomes a test of its own::

    from scoreline.testing.ledgers import LedgerSuite

    @pytest.mark.parametrize("check", LedgerSuite.checks())
    def test_my_ledger(check):
        LedgerSuite(MyLedger).run(check)

For readable failures, ``pytest.register_assert_rewrite("scoreline.testing")`` in a ``conftest.py``.

- `ledgers`, `sinks`, `sources`, `engines`: the suites for every implementation of a contract; `shared_ledgers`,
  `file_sinks`, `parquet_sources`, `timed_engines` ask more of those that promise more. `releases` and `kept_staging`
  are the parts about refused runs; `ledger_words` and `sink_words` what checks are made of.
- `builders`: a tiny job, frame, provenance, claim.
- `clock`: a clock that stands still. `dying`: a sink that dies at call n. `file_calls`: fsync and rename, watched.
- `crash`: the command line, killed or stopped at a named crash point.

This package's modules are imported one by one, by name: a run that is killed on purpose loads what an undisturbed
one does.
"""
