"""What settings do to real runs: each is set in the `.env` beside a job, and its effect is looked for."""

import os
import pickle
import re
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import polars as pl
import pytest
from tests.months import make_month
from tests.oracle import nyc_green

import scoreline as sl
from scoreline.assemble import Choices, assemble
from scoreline.config import load
from scoreline.errors import MemoryShort, MissingExtra
from scoreline.ledgers.sqlite import SqliteLedger
from scoreline.settings import LEAST_CHUNK

EXAMPLE = Path(__file__).parents[2] / "examples" / "nyc_green"
GIVEN = {"model": "models/m.bin", "source": "{taxi_type}_tripdata_{yyyy}-{mm}*.parquet"}
FILES, ROWS = 3, 12_000
LIMITED = """
from scoreline import resources, run
given = {"model": "models/m.bin", "source": "big/{yyyy}-{mm}.parquet"}
report = run("job.py", "2021-02", settings=given, engine="threads", workers=4, force=True)
print(resources.memory_peak(), report.counts.rows_in)
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A job with a partition of three files, and a trusted model."""
    root = tmp_path_factory.mktemp("kept")
    (root / "models").mkdir(mode=0o755)
    month = make_month(root / "data", 2021, 2, ROWS)
    for number in range(1, FILES):
        shutil.copy(month, month.with_stem(f"{month.stem}-{number}"))
    model = root / "models" / "m.bin"
    model.write_bytes(pickle.dumps(nyc_green.fit(month)))
    model.chmod(0o644)
    for name in ("job.py", "simulator.py"):
        shutil.copy(EXAMPLE / name, root)
    return root


@pytest.fixture
def place(kept, tmp_path, monkeypatch):
    """The same, for one test; relative paths of the user begin there."""
    shutil.copytree(kept, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


def run(place, env="", **more):
    (place / ".env").write_text(env)
    return sl.run("job.py", "2021-02", settings=GIVEN, force=True, **more)


def log_of(place):
    return (place / "logs" / "nyc_green.log").read_text().splitlines()


# --- workers, chunks, batches ---------------------------------------------------------------------------------------


def test_max_workers_is_how_many_splits_are_scored_at_once_and_workers_win(place):
    (place / ".env").write_text("MAX_WORKERS=3\n")
    loaded = load("job.py", settings=GIVEN)
    assert assemble(loaded).engine.workers == 3
    assert assemble(loaded, Choices(workers=1)).engine.workers == 1


def test_without_max_workers_there_is_one_for_each_core(place):
    assert assemble(load("job.py", settings=GIVEN)).engine.workers == len(os.sched_getaffinity(0))


class Threads:
    """Notes on which threads splits were scored, as far as several were there."""

    def __init__(self):
        self.most = 0

    def on(self, event):
        names = [one.name for one in threading.enumerate() if one.name.startswith("scoreline-split")]
        self.most = max(self.most, len(names))


@pytest.mark.parametrize(("chunk", "threads"), [(LEAST_CHUNK, True), (1_000_000, False)])
def test_splits_below_the_chunk_size_are_scored_without_threads(place, chunk, threads):
    seen = Threads()
    report = run(place, f"CHUNK_SIZE={chunk}\nMAX_WORKERS=2\n", observers=[seen])
    assert report.counts.rows_in == FILES * ROWS
    assert (seen.most > 0) is threads


def test_a_chunk_size_of_a_hundred_rows_is_raised_and_the_log_says_so(place):
    run(place, "CHUNK_SIZE=100\nLOGS_DIR=logs\n")
    assert any(
        line.endswith(f"CHUNK_SIZE 100 is raised to {LEAST_CHUNK} rows: smaller tasks are slower")
        for line in log_of(place)
    )


def test_neither_chunks_nor_workers_nor_batches_change_what_is_published(place):
    first = run(place)
    published = pl.read_parquet(first.outputs[0]["path"])
    run(place, "CHUNK_SIZE=1000000\nMAX_WORKERS=1\nBATCH_SIZE=777\n")
    assert pl.read_parquet(first.outputs[0]["path"]).equals(published)


def test_batch_size_is_the_number_of_rows_of_a_predict_call(place):
    (place / ".env").write_text("BATCH_SIZE=777\n")
    assembly = assemble(load("job.py", settings=GIVEN))
    model = assembly.models.fetch(assembly.models.resolve("models/m.bin")).load(["PU_DO", "trip_distance"])
    sizes = []
    predict = model.estimator.predict
    try:
        model.estimator.predict = lambda matrix: (sizes.append(matrix.shape[0]), predict(matrix))[1]
        model.predict(pl.DataFrame({"PU_DO": ["1_2"] * 2_000, "trip_distance": [1.0] * 2_000}))
    finally:
        del model.estimator.predict
    assert sizes == [777, 777, 446]


# --- limits ---------------------------------------------------------------------------------------------------------


def test_a_memory_limit_below_one_worker_s_need_is_refused_with_75_and_leaves_nothing(place):
    with pytest.raises(MemoryShort, match=r"MEMORY_LIMIT_GB is 0.01, and one worker needs \d\.\d\d GB") as caught:
        run(place, "MEMORY_LIMIT_GB=0.01\n")
    assert caught.value.exit_code == 75
    assert SqliteLedger(place / ".scoreline" / "ledger.sqlite").runs(limit=1)[0].state == "failed"
    assert not (place / "predictions" / "green" / "2-2021.parquet").exists()
    assert run(place, "MEMORY_LIMIT_GB=8\n").state == "published"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_real_run_with_four_workers_asked_for_stays_below_its_memory_limit(place):
    month = pl.read_parquet(place / "data" / "green_tripdata_2021-02.parquet")
    (place / "data" / "big").mkdir()
    pl.concat([month] * 100).write_parquet(place / "data" / "big" / "2021-02.parquet", row_group_size=100_000)
    peaks = {}
    for limit in (8, 0.48):
        (place / ".env").write_text(f"MEMORY_LIMIT_GB={limit}\n")
        done = subprocess.run([sys.executable, "-c", LIMITED], cwd=place, check=True, capture_output=True, text=True)
        peak, rows = map(int, done.stdout.split())
        assert rows == 100 * ROWS
        peaks[limit] = peak / 1e9
    print(f"peak {peaks[8]:.3f} GB with a limit of 8 GB, {peaks[0.48]:.3f} GB with one of 0.48 GB")  # noqa: T201
    assert peaks[0.48] < 0.48 < peaks[8]


def test_a_busy_machine_is_waited_for_and_then_scored_with_fewer_workers(place, monkeypatch):
    monkeypatch.delenv("SCORELINE_CPU_LIMIT_PERCENT")  # in tests it is 100, and would win
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count())]
    try:
        report = run(
            place, "CPU_LIMIT_PERCENT=5\nSCORELINE_CPU_WAIT_SECONDS=1.5\nMAX_WORKERS=3\nCHUNK_SIZE=1\nLOGS_DIR=logs\n"
        )
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    assert report.state == "published"
    assert report.seconds["score"] > 1.5
    assert re.search(r"busy: going on with [12] of 3 workers", "\n".join(log_of(place)))


# --- log and metrics ------------------------------------------------------------------------------------------------


def test_a_run_leaves_its_story_in_the_log_file_and_the_next_one_adds_to_it(place):
    first = run(place, "LOGS_DIR=logs # beside the job\n")
    second = run(place, "LOGS_DIR=logs\n")
    told = log_of(place)
    for report in (first, second):
        mine = [line for line in told if f" nyc_green[taxi_type=green] 2021-02 {report.run_id} " in line]
        assert [line.split(f"{report.run_id} ")[1].split(":")[0] for line in mine] == [
            "opened",
            "planned",
            "prepared",
            "published",
            "ended",
        ]


def test_a_failed_run_is_an_error_in_the_log_file(place):
    with pytest.raises(MemoryShort):
        run(place, "LOGS_DIR=logs\nMEMORY_LIMIT_GB=0.01\n")
    assert " ERROR nyc_green[taxi_type=green] 2021-02 " in log_of(place)[-1]


@pytest.mark.parametrize(("level", "some", "none"), [("DEBUG", " DEBUG ", " nothing "), ("ERROR", "", " INFO ")])
def test_the_log_level_decides_what_is_in_it(place, level, some, none):
    (place / "logs").mkdir()
    (place / "logs" / "nyc_green.log").touch()
    run(place, f"LOGS_DIR=logs\nLOG_LEVEL={level}\n")
    text = "\n".join(log_of(place))
    assert some in text
    assert none not in text


def test_the_log_file_may_have_another_name_and_is_put_aside_when_full(place):
    run(place, "LOGS_DIR=logs\nSCORELINE_LOG_FILE=batch.log\nSCORELINE_LOG_MAX_MB=0.0005\nSCORELINE_LOG_FILES=1\n")
    assert sorted(one.name for one in (place / "logs").iterdir()) == [".batch.log.lock", "batch.log", "batch.log.1"]


def test_the_settings_of_a_job_itself_write_its_log(place):
    job = place / "job.py"
    job.write_text(job.read_text().replace('name="nyc_green",', 'name="nyc_green", settings={"LOGS_DIR": "logs"},'))
    run(place)
    assert log_of(place)


class Scraper:
    """Reads the endpoint whenever it hears of a run."""

    def __init__(self, port):
        self.port = port
        self.found = {}

    def on(self, event):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            self.found[event.kind] = answer.read().decode()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_metrics_of_a_real_run_can_be_scraped_while_it_goes_on_and_not_after(place):
    seen = Scraper(free_port())
    report = run(place, f"ENABLE_METRICS=true\nMETRICS_PORT={seen.port}\n", observers=[seen])
    label = 'job="nyc_green[taxi_type=green]"'
    assert f'scoreline_run_in_progress{{{label},partition="2021-02"}} 1.0' in seen.found["prepared"]
    assert f'scoreline_rows_total{{fate="scored",{label}}} {float(report.counts.scored)}' in seen.found["published"]
    assert f'scoreline_rows_total{{fate="filtered",{label}}} {float(report.counts.left_out)}' in seen.found["published"]
    with pytest.raises(OSError, match="refused"):
        seen.on(None)


def test_a_metrics_port_that_is_taken_is_a_warning_and_the_run_goes_on(place):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run(place, f"ENABLE_METRICS=true\nMETRICS_PORT={port}\nLOGS_DIR=logs\n").state == "published"
    assert any(f"no metrics: port {port} on 127.0.0.1 cannot be had" in line for line in log_of(place))


def test_metrics_without_their_library_name_the_extra(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "scoreline.observers.metrics", raising=False)
    with pytest.raises(MissingExtra, match="prometheus_client") as caught:
        run(place, "ENABLE_METRICS=true\n")
    assert caught.value.hint == "pip install 'scoreline[metrics]'"


def test_a_backfill_has_the_same_log_and_metrics(place):
    seen = Scraper(free_port())
    (place / ".env").write_text(f"ENABLE_METRICS=true\nMETRICS_PORT={seen.port}\nLOGS_DIR=logs\n")
    report = sl.backfill("job.py", "2021-02..2021-02", settings=GIVEN, observers=[seen])
    assert report.exit_code == 0
    assert 'state="published"' in seen.found["ended"] or "scoreline_rows_total" in seen.found["ended"]
    assert any(" published: " in line for line in log_of(place))
