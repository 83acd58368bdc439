import socket
import urllib.request

import pytest
from tests.unit.observers.test_log import HANDLE, of_run

from scoreline.abc import Event
from scoreline.errors import Refused
from scoreline.observers.metrics import Metrics


@pytest.fixture
def metrics():
    one = Metrics(0)
    one.begin()
    yield one
    one.stop()


def scraped(metrics):
    """Line -> value, as Prometheus would read them over HTTP."""
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics.port}/metrics") as answer:
        text = answer.read().decode()
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def test_rows_are_counted_by_fate(metrics):
    for event in of_run()[:3]:
        metrics.on(event)
    found = scraped(metrics)
    expected = {"in": "10.0", "scored": "7.0", "filtered": "2.0", "quarantined": "1.0"}
    assert {fate: found[f'scoreline_rows_total{{fate="{fate}",job="trips"}}'] for fate in expected} == expected


def test_seconds_are_added_up_by_stage(metrics):
    for event in of_run()[:3] * 2:
        metrics.on(event)
    assert scraped(metrics)['scoreline_stage_seconds_total{job="trips",stage="read"}'] == "1.0"


def test_a_run_is_in_progress_until_it_ends(metrics):
    going = 'scoreline_run_in_progress{job="trips",partition="2021-02"}'
    metrics.on(of_run()[0])
    assert scraped(metrics)[going] == "1.0"
    metrics.on(of_run()[-1])
    assert scraped(metrics)[going] == "0.0"


@pytest.mark.parametrize(
    ("error", "state"),
    [(None, "published"), (Refused(), "refused"), (OSError(), "failed"), (KeyboardInterrupt(), "cancelled")],
)
def test_runs_are_counted_by_how_they_ended(metrics, error, state):
    metrics.on(Event("ended", HANDLE, {"error": error}) if error else of_run()[-1])
    assert scraped(metrics)[f'scoreline_runs_total{{job="trips",state="{state}"}}'] == "1.0"


def test_a_port_that_is_taken_is_a_warning_and_nothing_else(caplog):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        one = Metrics(taken.getsockname()[1])
        one.begin()
    assert one.port is None
    assert f"no metrics: port {one._wanted}" in caplog.text
    one.on(of_run()[0])
    one.stop()


def test_the_port_is_free_again_when_it_stops(metrics):
    port = metrics.port
    metrics.stop()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
