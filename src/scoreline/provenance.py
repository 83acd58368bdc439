"""Provenance: what a published file says about how it came to be, as text keys in its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

_PREFIX = "scoreline."


@dataclass(frozen=True, slots=True)
class Provenance:
    """The facts that travel inside a published file.

    Attributes:
        ledger: id of the ledger that knows the run.
        job: the job's key.
        partition: slug.
        run_id: the run that made the file.
        token: that run's fencing token when it prepared the file.
        model_uri: as the job names it.
        model_digest: SHA-256 of the model.
        model_version: as in the output column.
        scoring_digest: of the job's scoring declaration.
        fingerprint: of the input.
        counts: rows in, scored, filtered, quarantined, as JSON.
        volatile: output columns left out of the content digest, as a JSON list.
        scored_at: when the run began, ISO 8601 in UTC.
        scoreline: version that wrote it.
    """

    ledger: str
    job: str
    partition: str
    run_id: str
    token: int
    model_uri: str
    model_digest: str
    model_version: str
    scoring_digest: str
    fingerprint: str
    counts: str
    volatile: str
    scored_at: str
    scoreline: str

    def metadata(self) -> dict[str, str]:
        """As file metadata: every key begins with ``scoreline.``."""
        return {_PREFIX + name: str(value) for name, value in asdict(self).items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Provenance | None:
        """The provenance in a file's metadata, or None for a file that Scoreline did not write."""
        found = {
            field.name: metadata[_PREFIX + field.name] for field in fields(cls) if _PREFIX + field.name in metadata
        }
        if len(found) != len(fields(cls)) or not found["token"].isdecimal():
            return None
        return cls(**(found | {"token": int(found["token"])}))  # type: ignore[arg-type]

    def volatile_columns(self) -> list[str]:
        """Output columns that differ between runs of the same input."""
        return list(json.loads(self.volatile))
