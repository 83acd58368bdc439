"""`scoreline explain`, as a user calls it: every answer about a row, and what never was one."""

import json

import polars as pl
from tests.acceptance.job_folder import MONTH


def test_explain_a_published_row(cli, published):
    row = pl.read_parquet(published.output).row(7, named=True)
    told = cli("explain", published.job, row["ride_id"]).stdout
    for name, value in row.items():
        shown = value.isoformat() if hasattr(value, "isoformat") else value
        assert f" {name} = {shown}\n" in told
    number = row["ride_id"].rpartition("-")[2]
    assert f"{published.input}, row {number} (counted from 0); the file is still the one that was scored" in told
    assert f"PU_DO = {row['PULocationID']}_{row['DOLocationID']}" in told
    assert "EQUAL: the pinned model predicts the same, to the last bit in every column" in told
    assert published.rows("run_id")[0][0] in told
    assert "DictVectorizer" in told
    assert ", accelerated (" in told


def test_explain_as_json(cli, published):
    row = pl.read_parquet(published.output).row(0, named=True)
    form = cli.json("explain", published.job, row["ride_id"])
    assert (form["fate"], form["partition"], form["recheck"]["equal"]) == ("published", MONTH, True)
    assert form["published"]["predicted_duration"] == row["predicted_duration"]
    assert form["model"]["accelerated"] is True
    assert form["code"]["job_file"] == str(published.job)


def test_every_row_of_a_month_is_accounted_for(cli, published):
    kept = set(pl.read_parquet(published.output)["ride_id"])
    rows = pl.read_parquet(published.input).height
    left_out = [number for number in range(rows) if f"{MONTH}_0-{number}" not in kept]
    form = json.loads(cli("explain", published.job, f"{MONTH}_0-{left_out[0]}", "--json", code=1).stdout)
    assert form["fate"] in {"filtered", "quarantined"}
    assert form["published"] is None


def test_explain_a_row_that_was_left_out_exits_1_and_says_why(cli, published):
    kept = set(pl.read_parquet(published.output)["ride_id"])
    first = next(number for number in range(2_000) if f"{MONTH}_0-{number}" not in kept)
    process = cli("explain", published.job, f"{MONTH}_0-{first}", code=1)
    assert "NO PREDICTION: the row was " in process.stdout
    assert "predicted_duration" not in process.stdout


def test_explain_a_key_that_was_never_scored_prints_no_answer(cli, published):
    assert "had 2,000 rows" in cli.refuses("explain", published.job, f"{MONTH}_0-2000")
    assert "no run has scored it" in cli.refuses("explain", published.job, "2021-03_0-1")
    assert "is no row id" in cli.refuses("explain", published.job, "d8c77d145fb8")


def test_explain_as_json_of_a_key_that_was_never_scored_is_an_error(cli, published):
    form = json.loads(cli("explain", published.job, "2021-03_0-1", "--json", code=1).stdout)
    assert form["error"]["type"] == "PredictionMissing"


def test_explain_a_row_of_a_large_month(cli, large_job):
    """The row is predicted with the rows of its unit, so that its last bits are the published ones."""
    cli(*large_job.run())
    row = pl.read_parquet(large_job.output).row(-1, named=True)
    form = cli.json("explain", large_job.job, row["ride_id"])
    assert (form["published"]["ride_id"], form["recheck"]["equal"]) == (row["ride_id"], True)


def test_explain_after_the_input_was_replaced_shows_no_row_of_the_new_file(cli, published):
    pl.read_parquet(published.input).reverse().write_parquet(published.input)
    row = pl.read_parquet(published.output).row(0, named=True)
    form = cli.json("explain", published.job, row["ride_id"])
    assert form["published"]["ride_id"] == row["ride_id"]
    assert (form["input"]["unchanged"], form["input"]["values"]) == (False, None)
    assert form["recheck"]["equal"] is None
