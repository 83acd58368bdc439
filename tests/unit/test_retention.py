from datetime import UTC, datetime, timedelta

import pytest

from scoreline import Job, Retention
from scoreline.errors import JobError
from scoreline.retention import PruneReport, Removed, days_between, is_past, together
from scoreline.testing.builders import tiny_job

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_outputs_are_kept_a_month_and_logs_a_week():
    assert (Retention().outputs_days, Retention().logs_days) == (30, 7)


def test_a_job_without_retention_keeps_its_publications_for_ever(tmp_path):
    assert tiny_job(tmp_path).retention.outputs_days is None


@pytest.mark.parametrize("days", [-1, float("nan"), float("inf"), "30", True])
def test_what_is_no_number_of_days_is_refused(days):
    with pytest.raises(JobError, match="outputs_days"):
        Retention(outputs_days=days)


def test_a_job_takes_nothing_else_for_its_retention(tmp_path):
    with pytest.raises(JobError, match="Retention"):
        Job(**{**vars(tiny_job(tmp_path)), "retention": 30})


def test_retention_is_no_part_of_what_is_scored(tmp_path):
    with_it = Job(**{**vars(tiny_job(tmp_path)), "retention": Retention(outputs_days=1)})
    assert with_it.scoring_digest == tiny_job(tmp_path).scoring_digest


def test_age_is_in_days_whatever_the_zone():
    assert days_between("2026-02-28T14:00:00+02:00", NOW) == 1.0
    assert days_between(NOW - timedelta(hours=6), NOW) == 0.25


def test_the_limit_itself_is_past_and_none_is_never():
    assert is_past(1, NOW - timedelta(days=1), NOW)
    assert not is_past(1, NOW - timedelta(days=1) + timedelta(seconds=1), NOW)
    assert is_past(0, NOW, NOW)
    assert not is_past(None, NOW - timedelta(days=10_000), NOW)


def test_reports_add_up():
    one = PruneReport(("a",), dry_run=False, removed=(Removed("output", "/x", 1_500_000, "old"),), young=1)
    two = PruneReport(("b",), dry_run=False, removed=(Removed("log", "/y", 500_000, "old"),), young=2)
    both = together([one, two], dry_run=False)
    assert (both.jobs, both.bytes, both.megabytes, both.young) == (("a", "b"), 2_000_000, 2.0, 3)
    assert both.by_kind() == {"output": {"files": 1, "megabytes": 1.5}, "log": {"files": 1, "megabytes": 0.5}}
    assert both.to_dict()["files"] == 2
