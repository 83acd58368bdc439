import logging
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from scoreline.abc import Event
from scoreline.errors import Refused
from scoreline.observers.log import EventLog
from scoreline.record import RunHandle
from scoreline.report import Counts, Receipt, SplitReport

HANDLE = RunHandle("run-1", 1, "trips", "2021-02")
LINE = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR) (\S+) (\S+) (\S+) (.+)")
WRITER = """
import sys
from pathlib import Path
from scoreline.abc import Event
from scoreline.observers.log import EventLog
from scoreline.record import RunHandle
log = EventLog(Path(sys.argv[1]), "INFO", "trips", 2_000, 1000)
for number in range(200):
    log.on(Event("note", RunHandle(sys.argv[2], 1, "trips", "2021-02"), {"number": number, "filler": "x" * 20}))
"""


@pytest.fixture
def log(tmp_path):
    made = []

    def making(level="INFO", max_bytes=1_000_000, files=3):
        one = EventLog(tmp_path / "logs" / "trips.log", level, "trips", max_bytes, files)
        one.begin()
        made.append(one)
        return one

    yield making
    for one in made:
        one.stop()


def lines(tmp_path):
    return (tmp_path / "logs" / "trips.log").read_text().splitlines()


def of_run():
    """The events of a run, as the runner tells them."""
    counts = Counts(10, 7, {"short": 2}, 1, {"x:null": 1})
    split = SplitReport(0, counts, (Receipt(0, "/a.part", 7, 1, "0" * 64),), {"read": 0.5})
    ended = SimpleNamespace(counts=counts, seconds={"total": 1.5})
    return [
        Event("opened", HANDLE, {"reason": "missing", "healed": []}),
        Event("planned", HANDLE, {"rows": 10, "splits": 1}),
        Event("split", HANDLE, {"report": split}),
        Event("prepared", HANDLE),
        Event("published", HANDLE, {"paths": ["/out/2-2021.parquet"]}),
        Event("ended", HANDLE, {"report": ended}),
    ]


def test_each_event_is_one_line_with_time_level_job_partition_and_run(log, tmp_path):
    one = log("DEBUG")
    for event in of_run():
        one.on(event)
    found = [LINE.fullmatch(line).groups() for line in lines(tmp_path)]
    assert {(job, partition, run) for _, job, partition, run, _ in found} == {("trips", "2021-02", "run-1")}
    assert [(level, text) for level, *_, text in found] == [
        ("INFO", "opened: missing"),
        ("INFO", "planned: 10 rows in 1 splits"),
        ("DEBUG", "split: number 0, 10 rows"),
        ("INFO", "prepared"),
        ("INFO", "published: /out/2-2021.parquet"),
        ("INFO", "ended: 10 in = 7 scored + 2 filtered + 1 quarantined, 1.50 s"),
    ]


@pytest.mark.parametrize(("level", "count"), [("DEBUG", 7), ("INFO", 6), ("WARNING", 1), ("ERROR", 1)])
def test_the_level_leaves_out_what_is_below_it(log, tmp_path, level, count):
    one = log(level)
    for event in [*of_run(), Event("ended", HANDLE, {"error": Refused("too few rows")})]:
        one.on(event)
    assert len(lines(tmp_path)) == count


def test_an_error_is_one_line_though_its_message_has_several(log, tmp_path):
    log().on(Event("ended", HANDLE, {"error": Refused("too few\nrows", hint="look")}))
    assert lines(tmp_path)[0].endswith("ERROR trips 2021-02 run-1 ended: Refused: too few | rows |   Hint: look")


def test_what_the_package_logs_meanwhile_is_in_it(log, tmp_path):
    one = log()
    logging.getLogger("scoreline.runner").warning("the model is old")
    one.stop()
    logging.getLogger("scoreline.runner").warning("nobody hears this")
    assert [line.split("Z ", 1)[1] for line in lines(tmp_path)] == ["WARNING - - - the model is old"]


def test_events_of_another_job_are_not_in_it(log, tmp_path):
    log().on(Event("opened", RunHandle("run-2", 1, "others", "2021-02"), {"reason": "missing"}))
    assert not (tmp_path / "logs").exists()


def test_passwords_in_addresses_and_values_of_secret_variables_are_not_in_it(log, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush-hush")
    one = log()
    one.on(Event("note", HANDLE, {"url": "postgresql://u:pa55@db/x", "told": "key hush-hush-hush was refused"}))
    assert lines(tmp_path)[0].endswith("note: url=postgresql://u:***@db/x told=key *** was refused")


def test_a_full_file_is_put_aside_and_only_so_many_are_kept(log, tmp_path):
    one = log(max_bytes=300, files=2)
    for _ in range(40):
        one.on(of_run()[0])
    names = sorted(file.name for file in (tmp_path / "logs").iterdir())
    assert names == [".trips.log.lock", "trips.log", "trips.log.1", "trips.log.2"]
    assert all(file.stat().st_size <= 300 for file in (tmp_path / "logs").iterdir())


def test_several_processes_lose_no_line_and_break_none_while_files_are_put_aside(tmp_path):
    path = tmp_path / "trips.log"
    started = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), f"run-{one}"]) for one in range(3)]
    assert [one.wait() for one in started] == [0, 0, 0]
    files = list(tmp_path.glob("trips.log*"))
    found = [line for file in files for line in file.read_text().splitlines()]
    assert len(files) > 5
    assert all(LINE.fullmatch(line) for line in found)
    numbers = {tuple(re.search(r"(run-\d) note: number=(\d+)", line).groups()) for line in found}
    assert len(found) == len(numbers) == 600


def test_a_log_that_cannot_be_written_is_told_once_and_harms_nothing(log, tmp_path, capsys):
    (tmp_path / "logs").write_text("no folder")
    one = log()
    for event in of_run():
        one.on(event)
    told = capsys.readouterr().err
    assert told.count("cannot be written") == 1
