"""Metrics of a run or backfill for Prometheus, over HTTP on this machine while it goes on.

When the command ends they are gone: they show what is going on, and the ledger keeps what happened.
"""

from __future__ import annotations

import logging
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from scoreline.abc import Event
from scoreline.errors import ScorelineError

ADDRESS = "127.0.0.1"
_log = logging.getLogger(__name__)


class Metrics:
    """Implements `scoreline.abc.Observer`, with a registry of its own; a port that is taken is told, and no more.

    Args:
        port: of the endpoint; 0 takes any.
    """

    def __init__(self, port: int) -> None:
        self._wanted = port
        self._server: Any = None
        self.registry = CollectorRegistry()
        self._going = Gauge(
            "scoreline_run_in_progress", "1 while a run goes on", ["job", "partition"], registry=self.registry
        )
        self._runs = Counter(
            "scoreline_runs", "runs that have ended, by outcome", ["job", "state"], registry=self.registry
        )
        self._rows = Counter(
            "scoreline_rows", "rows of splits that have ended", ["job", "fate"], registry=self.registry
        )
        self._seconds = Counter("scoreline_stage_seconds", "seconds by stage", ["job", "stage"], registry=self.registry)

    @property
    def port(self) -> int | None:
        """Of the endpoint, None where it could not be opened."""
        return self._server.server_port if self._server is not None else None

    def begin(self) -> None:
        """Opens the endpoint."""
        try:
            self._server, _ = start_http_server(self._wanted, ADDRESS, self.registry)
        except OSError as error:
            _log.warning("no metrics: port %d on %s cannot be had (%s)", self._wanted, ADDRESS, error.strerror)

    def stop(self) -> None:
        """Closes the endpoint."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def on(self, event: Event) -> None:
        """See `scoreline.abc.Observer.on`."""
        job = event.handle.job
        if event.kind == "opened":
            self._going.labels(job, event.handle.partition).set(1)
        elif event.kind == "split":
            report = event.facts["report"]
            for fate, rows in _fates(report.counts).items():
                self._rows.labels(job, fate).inc(rows)
            self._spend(job, report.seconds)
        elif event.kind == "ended":
            self._going.labels(job, event.handle.partition).set(0)
            error, report = event.facts.get("error"), event.facts.get("report")
            self._runs.labels(job, _state(error) if error is not None else "published").inc()
            if report is not None:
                self._spend(
                    job, {stage: report.seconds.get(stage, 0.0) for stage in ("open", "plan", "prepare", "publish")}
                )

    def _spend(self, job: str, seconds: dict[str, float]) -> None:
        for stage, spent in seconds.items():
            self._seconds.labels(job, stage).inc(spent)


def _fates(counts: Any) -> dict[str, int]:
    return {
        "in": counts.rows_in,
        "scored": counts.scored,
        "filtered": counts.left_out,
        "quarantined": counts.quarantined,
    }


def _state(error: BaseException) -> str:
    if isinstance(error, ScorelineError):
        return {3: "refused"}.get(error.exit_code, "failed")
    return "cancelled" if isinstance(error, KeyboardInterrupt) else "failed"
