"""Rows that nobody can decide stand in quarantine with their reasons; their neighbours are scored as ever."""

import json
import pickle
import shutil
from pathlib import Path

import polars as pl
import pytest
from tests.acceptance.job_folder import MONTH
from tests.acceptance.shell import pasted
from tests.year import Year

PICKUP, DROPOFF, PU, DO, MILES = (
    "lpep_pickup_datetime",
    "lpep_dropoff_datetime",
    "PULocationID",
    "DOLocationID",
    "trip_distance",
)
OWN = ["scoreline.reasons", "scoreline.file", "scoreline.row"]
ODD = 500
"""The row that is spoilt."""
INF, NAN = float("inf"), float("nan")


def spoil(job, row=ODD, kinds=None, **values):
    """Gives one row other values, after it was made a trip of nine minutes; columns in other types where asked for."""
    here = pl.int_range(pl.len()) == row
    month = pl.read_parquet(job.input).with_columns(
        pl.when(here).then(pl.col(PICKUP) + pl.duration(minutes=9)).otherwise(DROPOFF).alias(DROPOFF)
    )
    month = month.with_columns(pl.col(name).cast(kind) for name, kind in (kinds or {}).items())
    month = month.with_columns(
        pl.when(here).then(pl.lit(value, month.schema[name])).otherwise(name).alias(name)
        for name, value in values.items()
    )
    month.write_parquet(job.input)
    return month


def rows_of(path):
    return pl.read_parquet(Path(path))


def require_alone(cli, job, reasons, **spoilt):
    """Row 500 alone is in quarantine for these reasons, with its values as read; all others are published as before."""
    spoil(job)
    cli(*job.run())
    sound = pl.read_parquet(job.output)
    ride = f"{MONTH}_0-{ODD}"
    assert ride in sound["ride_id"]

    month = spoil(job, **spoilt)
    report = cli.json(*job.run())
    assert report["state"] == "published"
    counts = report["counts"]
    assert (counts["quarantined"], counts["reasons"]) == (1, dict.fromkeys(reasons, 1))
    assert counts["rows_in"] == 2_000 == counts["scored"] + sum(counts["filtered"].values()) + 1
    assert pl.read_parquet(job.output).equals(sound.filter(pl.col("ride_id") != ride))

    kept = rows_of(report["quarantine"])
    assert kept.select(OWN).rows() == [(list(reasons), str(job.input), ODD)]
    read = kept.drop(OWN)
    assert set(read.columns) >= set(spoilt) - {"kinds"}
    assert read.equals(month[ODD].select(read.columns), null_equal=True)


# --- reasons -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        (PICKUP, None, "null"),
        (DROPOFF, None, "null"),
        (PU, None, "null"),
        (DO, None, "null"),
        (PU, 0, "below 1"),
        (PU, 266, "above 265"),
        (DO, -(2**63), "below 1"),
        (MILES, None, "null"),
        (MILES, NAN, "nan"),
        (MILES, INF, "infinite"),
        (MILES, -INF, "infinite"),
        (MILES, -0.01, "below 0"),
    ],
)
def test_a_value_that_the_contract_rejects(cli, job, column, value, reason):
    require_alone(cli, job, [f"{column}:{reason}"], **{column: value})


@pytest.mark.parametrize(("value", "reason"), [(43.5, "not Int64"), (NAN, "nan"), (INF, "infinite"), (None, "null")])
def test_an_odd_zone_in_a_column_of_floats(cli, job, value, reason):
    require_alone(cli, job, [f"{PU}:{reason}"], kinds={PU: pl.Float64}, **{PU: value})


@pytest.mark.parametrize(("value", "reason"), [(-1.0, "rule:paid"), (None, "rule:paid:null"), (NAN, "rule:paid:null")])
def test_a_row_that_breaks_a_rule_or_leaves_it_undecided(cli, job, value, reason):
    fares = pl.read_parquet(job.input).with_columns(fare_amount=pl.lit(9.5))
    fares.write_parquet(job.input)
    job.require('sl.Rule("paid", pl.col("fare_amount") > 0)')
    require_alone(cli, job, [reason], fare_amount=value)


def test_a_value_that_is_none_of_those_allowed(cli, job):
    pl.read_parquet(job.input).with_columns(payment_type=pl.lit(1)).write_parquet(job.input)
    job.require('sl.Field("payment_type", pl.Int64(), one_of=[1, 2])')
    require_alone(cli, job, ["payment_type:not allowed"], payment_type=5)


def test_a_row_has_all_of_its_reasons_in_the_contract_s_order(cli, job):
    reasons = [f"{PICKUP}:null", f"{PU}:above 265", f"{DO}:null", f"{MILES}:nan"]
    require_alone(cli, job, reasons, **{MILES: NAN, DO: None, PU: 300, PICKUP: None})


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        (PICKUP, None, "filter:duration:null"),
        (DROPOFF, None, "filter:duration:null"),
        (MILES, NAN, "feature:trip_distance:nan"),
        (MILES, INF, "feature:trip_distance:infinite"),
        (MILES, -INF, "feature:trip_distance:infinite"),
    ],
)
def test_a_value_that_a_job_without_a_contract_cannot_decide(cli, job, column, value, reason):
    job.edit(contract=None)
    require_alone(cli, job, [reason], **{column: value})


@pytest.mark.parametrize("value", [43.5, NAN, INF, 1e300])
def test_a_zone_that_is_no_whole_number_without_a_contract(cli, job, value):
    job.edit(contract=None)
    require_alone(cli, job, [f"feature:PU_DO:{PU} is not a whole number"], kinds={PU: pl.Float64}, **{PU: value})


def test_a_zone_that_the_declared_output_cannot_hold(cli, job):
    job.edit(contract=None)
    require_alone(cli, job, [f"output:{PU}:not Int64"], kinds={PU: pl.UInt64}, **{PU: 2**64 - 1})


def test_a_distance_that_takes_the_prediction_beyond_all_numbers(cli, job):
    vectorizer, estimator = pickle.loads(job.model("a").read_bytes())
    estimator.coef_ *= 1e6
    job.model("a").write_bytes(pickle.dumps((vectorizer, estimator)))
    require_alone(cli, job, ["prediction:not finite"], **{MILES: 1.7e308})


def test_a_declared_id_that_is_missing(cli, job):
    month = pl.read_parquet(job.input).with_columns(key=pl.int_range(pl.len()))
    month.write_parquet(job.input)
    job.edit(row_id='"key"')
    cli(*job.run())
    spoil(job, key=None)
    report = cli.json(*job.run())
    assert report["counts"]["reasons"] == {"row_id:key:null": 1}
    assert rows_of(report["quarantine"])["scoreline.row"].to_list() == [ODD]
    rides = pl.read_parquet(job.output)["ride_id"]
    assert str(ODD) not in rides
    assert {str(ODD - 1), str(ODD + 1)} <= set(rides)


@pytest.mark.parametrize("column", [PU, DO])
def test_a_missing_zone_without_a_contract_is_scored_without_its_route_and_counted(cli, job, column):
    job.edit(contract=None)
    before = cli.json(*job.run())["counts"]
    month = pl.read_parquet(job.input)
    month.with_columns(pl.lit(None, pl.Int64).alias(column)).write_parquet(job.input)
    counts = cli.json(*job.run())["counts"]
    assert (counts["scored"], counts["quarantined"]) == (before["scored"], 0)
    assert counts["unseen"] == {"PU_DO": counts["scored"]}
    assert pl.read_parquet(job.output)[column].null_count() == counts["scored"]


def test_a_row_that_a_filter_leaves_out_and_the_contract_rejects_counts_as_rejected(cli, job):
    """The contract comes first, and a row counts once."""
    before = cli.json(*job.run())["counts"]
    month = pl.read_parquet(job.input)
    long = (month[DROPOFF] - month[PICKUP]).dt.total_seconds() > 3_600
    row = int(long.arg_max())
    assert long[row]
    here = pl.int_range(pl.len()) == row
    month.with_columns(pl.when(here).then(-1.0).otherwise(MILES).alias(MILES)).write_parquet(job.input)
    counts = cli.json(*job.run())["counts"]
    assert (counts["quarantined"], counts["scored"]) == (1, before["scored"])
    assert counts["filtered"] == {"duration": before["filtered"]["duration"] - 1}


# --- place, and when it can be seen ---------------------------------------------------------------------------------


def test_the_file_lies_in_the_home_and_no_folder_of_published_data_has_it(cli, job):
    spoil(job, **{MILES: -1.0})
    report = cli.json(*job.run())
    (file,) = job.quarantined()
    assert report["quarantine"] == str(file)
    assert file.relative_to(job.home).parts[0] == "quarantine"
    assert file.parent.name == MONTH
    assert file.stem == report["run_id"]
    assert [path for path in job.output.parent.parent.rglob("*") if path.is_file()] == [job.output]


def test_it_is_seen_whole_before_the_predictions_are(cli, forks, job, tmp_path):
    spoil(job, **{MILES: -1.0})
    go, mark = tmp_path / "go", tmp_path / "mark"
    pause = {"action": "pause", "mark": str(mark), "go": str(go)}
    running = forks.start(*job.run(), points={"prepare.quarantined": pause})
    running.until(mark.exists)
    (file,) = job.quarantined()
    assert rows_of(file)["scoreline.row"].to_list() == [ODD]
    assert not job.output.exists()
    go.touch()
    assert running.wait() == 0
    assert job.quarantined() == [file]


def test_a_clean_month_has_no_file(cli, published):
    assert published.quarantined() == []
    assert cli("quarantine", "list", published.job).stdout == "nothing is in quarantine\n"
    assert cli.json("quarantine", "list", published.job) == []


def test_a_clean_month_after_a_bad_one_has_nothing_in_quarantine_any_more_and_the_old_file_stays(cli, job):
    sound = job.input.read_bytes()
    spoil(job, **{MILES: -1.0})
    cli(*job.run())
    job.input.write_bytes(sound)
    cli(*job.run())
    assert cli.json("quarantine", "list", job.job) == []
    (old,) = cli.json("quarantine", "list", job.job, "--all")
    assert (old["rows"], old["path"]) == (1, str(job.quarantined()[0]))
    cli.refuses("quarantine", "show", job.job, MONTH, code=75)
    assert cli("quarantine", "show", job.job, MONTH, "--run", old["run_id"]).stdout


def test_the_next_commands_keep_the_job_s_settings(cli, job):
    spoil(job, **{MILES: -1.0})
    cli(*job.run())
    green = "--set", "taxi_type=green"
    assert cli("quarantine", "list", job.job, *green).stdout.endswith(f"show {job.job} {MONTH} --set taxi_type=green\n")
    told = cli.refuses("quarantine", "show", job.job, "2021-12", *green, code=75)
    assert told.rstrip().endswith("--all --set taxi_type=green")


# --- quarantine list and show ---------------------------------------------------------------------------------------


@pytest.fixture
def spoilt(cli, job):
    """The month with seven rows in quarantine at its end: four of them far below 0, three of an unknown zone."""
    job.append(4, trip_distance=-1.0)
    job.append(3, PULocationID=0)
    cli(*job.run())
    return job


def test_the_list_names_rows_reasons_and_run_and_the_next_command_works(cli, spoilt):
    said = cli("quarantine", "list", spoilt.job).stdout
    header, row, _, command = said.splitlines()
    assert header.split() == ["partition", "state", "rows", "reasons", "run"]
    run_id = spoilt.rows("run_id")[0][0]
    assert row.split() == [MONTH, "published", "7", f"{PU}:below", "1", "3,", f"{MILES}:below", "0", "4", run_id]
    shown = pasted(command, spoilt.root.parent)
    assert shown.returncode == 0, shown.stderr
    assert f"{MILES}:below 0" in shown.stdout


def test_the_list_as_json(cli, spoilt):
    (one,) = cli.json("quarantine", "list", spoilt.job, MONTH)
    assert one.pop("sha256")
    assert one == {
        "job": "nyc_green[taxi_type=green]",
        "partition": MONTH,
        "run_id": spoilt.rows("run_id")[0][0],
        "state": "published",
        "rows": 7,
        "reasons": {f"{PU}:below 1": 3, f"{MILES}:below 0": 4},
        "path": str(spoilt.quarantined()[0]),
    }


def test_rows_are_shown_as_json_lines_by_reason_and_up_to_a_limit(cli, spoilt):
    def shown(*more):
        lines = cli("quarantine", "show", spoilt.job, MONTH, "--json", *more).stdout.splitlines()
        return [json.loads(line)["scoreline.row"] for line in lines]

    assert shown() == list(range(2_000, 2_007))
    assert shown("--limit", "2") == [2_000, 2_001]
    assert shown("--reason", f"{PU}:below 1") == [2_004, 2_005, 2_006]
    assert shown("--reason", f"{PU}:below 1", "--limit", "1") == [2_004]
    assert shown("--reason", "nonsense") == []


def test_an_older_run_is_shown_when_it_is_named(cli, spoilt):
    first = spoilt.rows("run_id")[0][0]
    spoilt.append(1, DOLocationID=0)
    cli(*spoilt.run())
    for more, rows in (([], 8), (["--run", first], 7)):
        lines = cli("quarantine", "show", spoilt.job, MONTH, "--json", *more).stdout.splitlines()
        assert len(lines) == rows


def test_a_partition_with_nothing_in_quarantine_is_answered_with_a_command_that_works(cli, published):
    told = cli.refuses("quarantine", "show", published.job, MONTH, code=75)
    assert f"nothing is in quarantine for {MONTH}" in told
    hinted = pasted(told.partition("Hint: ")[2], published.root.parent)
    assert hinted.stdout == "nothing is in quarantine\n"


def test_a_quarantine_file_that_was_changed_by_hand_is_not_shown_as_if_it_were_sound(cli, spoilt):
    (file,) = spoilt.quarantined()
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 0x5A
    file.write_bytes(data)
    assert "is not as run" in cli.refuses("quarantine", "show", spoilt.job, MONTH)


def test_a_quarantine_file_that_is_gone_is_said_to_be(cli, spoilt):
    shutil.rmtree(spoilt.home / "quarantine")
    assert "is not there any more" in cli.refuses("quarantine", "show", spoilt.job, MONTH, code=75)


# --- the same rows whatever the way ----------------------------------------------------------------------------------


def test_a_second_run_over_the_same_input_rejects_the_same_rows_for_the_same_reasons(cli, spoilt):
    digest, (first,) = spoilt.digest(), spoilt.quarantined()
    report = cli.json(*spoilt.run("a", "--force"))
    assert spoilt.digest() == digest
    assert report["quarantine"] != str(first)
    assert rows_of(report["quarantine"]).equals(rows_of(first))


def test_engines_and_splits_reject_the_same_rows_for_the_same_reasons(cli, large_job):
    """Rejected rows in every unit, at the borders of units too."""
    month = pl.read_parquet(large_job.input)
    at = pl.int_range(pl.len())
    border = (at % 140_000).is_in([0, 139_999])
    odd = month.with_columns(
        pl.when((at % 97 == 5) | border).then(-1.0).otherwise(MILES).alias(MILES),
        pl.when(at % 89 == 7).then(None).otherwise(PU).alias(PU),
    )
    expected = odd.with_row_index("row").filter((pl.col(MILES) < 0) | pl.col(PU).is_null())
    ways = [
        (140_000, "threads", 1),
        (140_000, "threads", 2),
        (140_000, "processes", 2),
        (1_000, "threads", 2),
        (560_000, "threads", 2),
    ]
    seen, digests = [], set()
    for group, engine, workers in ways:
        odd.write_parquet(large_job.input, row_group_size=group)
        report = cli.json(*large_job.run("a", "--force", "--engine", engine, "--workers", str(workers)))
        seen.append(rows_of(report["quarantine"]))
        digests.add(large_job.digest())
    assert seen[0]["scoreline.row"].to_list() == expected["row"].to_list()
    assert seen[0][MILES].equals(expected[MILES])
    assert all(rows.equals(seen[0]) for rows in seen)
    assert len(digests) == 1


def test_files_of_one_partition_with_other_types_keep_every_rejected_value(cli, job):
    spoil(job, **{PU: -3})
    first, second = job.input, job.input.with_name(f"green_tripdata_{MONTH}-late.parquet")
    shutil.copy(first, second)
    job.input = second
    spoil(job, row=700, kinds={PU: pl.Float64}, **{PU: 43.5})
    report = cli.json(*job.run("a", "--set", "source={taxi_type}_tripdata_{yyyy}-{mm}*.parquet"))
    assert report["counts"]["rows_in"] == 4_000
    rows = rows_of(report["quarantine"])
    assert rows[PU].dtype == pl.String
    reasons = pl.col("scoreline.reasons").list.join(", ")
    found = set(rows.select("scoreline.file", "scoreline.row", PU, reasons).rows())
    assert found == {
        (str(first), ODD, "-3", f"{PU}:below 1"),
        (str(second), ODD, "-3.0", f"{PU}:below 1"),
        (str(second), 700, "43.5", f"{PU}:not Int64"),
    }


# --- gates ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def year(tmp_path):
    return Year(tmp_path / "year")


WIDE = "quarantined_percent=100"


@pytest.mark.parametrize(
    ("gates", "within", "beyond", "told"),
    [
        (
            None,
            10,
            11,
            "11 of 100 rows (11 %) are quarantined; without gates of its own a job may lose 10 %, or 10 rows",
        ),
        ("quarantined_rows=5", 5, 6, "6 of 100 rows (6 %) are quarantined; at most 5 may be"),
        ("quarantined_rows=0", 0, 1, "1 of 100 rows (1 %) are quarantined; at most 0 may be"),
        ("quarantined_percent=30", 30, 31, "31 of 100 rows (31 %) are quarantined; at most 30 % may be"),
        ("quarantined_rows=50, quarantined_percent=2.5", 2, 3, "3 of 100 rows (3 %) are quarantined; at most 2.5 %"),
        (f"{WIDE}, min_rows=50", 50, 51, "49 rows are scored; at least 50 must be"),
        (f"{WIDE}, max_rows=60", 40, 39, "61 rows are scored; at most 60 may be"),
        (
            WIDE + ', null_percent={"most": 40}',
            0,
            50,
            "most is null in 25 of 50 scored rows (50 %); at most 40 % may be",
        ),
    ],
)
def test_a_gate_lets_pass_what_is_within_and_refuses_what_is_beyond(cli, year, gates, within, beyond, told):
    if gates:
        most = 'sl.computed("most", pl.when(pl.col("left") < 75).then("left"))'
        year.declare("import polars as pl\n", "import polars as pl\n\nimport scoreline as sl\n")
        year.declare('prediction("total")]', f'prediction("total"), {most}]')
        year.declare("    start=", f"    gates=sl.Gates({gates}),\n    start=")
    year.feed("2021-06", bad=within)
    assert cli.json("run", year.file, "2021-06")["counts"]["quarantined"] == within
    year.feed("2021-06", bad=beyond)
    assert told in cli.refuses("run", year.file, "2021-06", code=3)


def test_a_job_without_gates_is_refused_where_rows_were_rejected_and_none_is_scored(cli, tmp_path):
    few = Year(tmp_path / "few", rows=9)
    few.feed("2021-06", bad=9)
    assert "9 of 9 rows (100 %) are quarantined and none is scored" in cli.refuses("run", few.file, "2021-06", code=3)


def test_a_wider_gate_and_a_plain_run_publish_what_was_refused(cli, year):
    year.feed("2021-06", bad=50)
    cli.refuses("run", year.file, "2021-06", code=3)
    year.declare("Field, Files", "Field, Files, Gates")
    year.declare("    start=", "    gates=Gates(quarantined_rows=50),\n    start=")
    report = cli.json("run", year.file, "2021-06")
    assert (report["state"], report["counts"]["scored"]) == ("published", 50)
    assert cli.json("run", year.file, "2021-06")["state"] == "current"
    assert not [path for path in year.root.rglob("*") if path.name.endswith((".part", ".tmp"))]
