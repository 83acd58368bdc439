"""A month in CSV at the command line: scored as in Parquet, and its broken records shown."""

import polars as pl
import pytest
from tests.acceptance.job_folder import MONTH

AS_CSV = ("--set", "source={taxi_type}_tripdata_{yyyy}-{mm}.csv")


@pytest.fixture
def month(job):
    """The month's file as CSV; the Parquet file is there too."""
    path = job.input.with_suffix(".csv")
    pl.read_parquet(job.input).write_csv(path)
    return path


def test_a_month_in_csv_is_the_same_predictions(cli, job, month):
    cli(*job.run())
    expected = pl.read_parquet(job.output)
    report = cli.json(*job.run("a", *AS_CSV, "--force"))
    assert report["counts"]["rows_in"] == 2_000
    assert pl.read_parquet(job.output).equals(expected)


def test_broken_records_are_told_by_every_command(cli, job, month):
    lines = month.read_bytes().splitlines(keepends=True)
    lines[501] = b"1,2,3\n"
    month.write_bytes(b"".join(lines))
    about = ("--model", job.model("a"), *AS_CSV)
    assert cli.json("check", job.job, MONTH, *about)[-1]["ok"]
    (planned,) = cli.json("plan", job.job, MONTH, *about)
    assert planned["partition"] == MONTH
    report = cli.json(*job.run("a", *AS_CSV))
    assert report["counts"]["reasons"] == {"record:too few fields": 1}
    shown = cli("quarantine", "show", job.job, MONTH, *about[2:]).stdout
    assert "1,2,3" in shown
    told = cli.json("explain", job.job, f"{MONTH}_0-500", *about[2:], code=1)
    assert told["fate"] == "quarantined"
    assert "2,000 in" in cli(*job.run("a", *AS_CSV, "--preview", "--limit", "2000")).stdout


def test_a_file_that_is_no_csv_of_the_job_is_refused_with_its_columns(cli, job, month):
    month.write_bytes(b"a;b\n1;2\n")
    error = cli.refuses(*job.run("a", *AS_CSV), code=1)
    assert str(month) in error
    assert "a;b" in error
