"""Located: where registered models lie, told without MLflow, whose import takes longer than scoring a small month.

A server is asked by its REST interface. What a database in a file has said is remembered for as long as its bytes are
the same. Whatever is not plainly answered is left to MLflow itself, and so is saying what is wrong.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from scoreline import durable
from scoreline.models.folder import MLMODEL, read_folder

NOTES = "located"
"""Folder in a home."""

_REGISTERED = re.compile(r"models:/([^/@:]+)(?:@([^/@]+)|/(\d+))")
_LOGGED = re.compile(r"models:/(m-[0-9a-f]{32})")
_OF_LOGGED = re.compile(r"mlflow-artifacts:/+(\d+/models/m-[0-9a-f]{32}/artifacts)")
_SECONDS = 5.0
_SETTLED = 2.0
"""Seconds after which a file that is written again has another time, on any file system."""
_API = "api/2.0"
_OWN_WAYS = ("MLFLOW_TRACKING_", "MLFLOW_WORKSPACE", "MLFLOW_ENABLE_WORKSPACES", "MLFLOW_ENTERPRISE")
"""Settings that say how to talk to a server: who it is that asks, by which certificate, and the like."""
_PLAIN = {"MLFLOW_TRACKING_URI"}


@dataclass(frozen=True)
class Located:
    """What is known of one MLflow.

    Args:
        home: Scoreline's folder.
        tracking: URI of the tracking server or database.
        registry: URI of the registry.
    """

    home: Path
    tracking: str
    registry: str

    def location(self, uri: str) -> str | None:
        """Where the artifacts of a model URI lie, None where only MLflow can tell."""
        if self._asks_servers:
            with suppress(Exception):  # MLflow is asked next, and says what is wrong
                return self._asked(uri)
            return None
        state = self.state()
        note = self._read("of", uri, self.tracking, self.registry)
        return str(note["location"]) if note and state and note.get("state") == state else None

    def state(self) -> list[list[int]] | None:
        """What tells whether the databases are as they were; None where that cannot be told."""
        found = []
        for uri in dict.fromkeys((self.tracking, self.registry)):
            if not uri.startswith("sqlite:///"):
                return None
            path = uri.removeprefix("sqlite:///")
            for file in (path, f"{path}-wal", f"{path}-journal"):
                with suppress(FileNotFoundError):
                    stat = os.stat(file)  # noqa: PTH116 - a text with a suffix
                    if time.time() - stat.st_mtime < _SETTLED:
                        return None
                    found.append([stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns])
        return found

    def remember(self, uri: str, location: str, before: list[list[int]] | None) -> None:
        """Keeps MLflow's answer, unless a database was written to meanwhile; ``before`` is what `state` said."""
        if before and before == self.state():
            self._write({"location": location, "state": before}, "of", uri, self.tracking, self.registry)

    def kept(self, location: str) -> Path | None:
        """The kept folder of a logged model that a server hands out, where the server still has the same files."""
        note = self._read("kept", location, self.tracking)
        if note is None or not self._asks_servers:
            return None
        folder = Path(note["folder"])
        with suppress(Exception):  # it is downloaded again
            return folder if self._is_same(location, folder) else None
        return None

    def keep(self, location: str, folder: Path) -> None:
        """Remembers where a download is kept; what would name a password is not written down."""
        if self._asks_servers and _OF_LOGGED.fullmatch(location):
            self._write({"folder": str(folder)}, "kept", location, self.tracking)

    @property
    def _asks_servers(self) -> bool:
        """Whether these are servers that anybody may ask."""
        special = (name for name in os.environ if name.startswith(_OWN_WAYS) and name not in _PLAIN)
        credentials = Path.home() / ".mlflow" / "credentials"
        servers = [urlsplit(uri) for uri in (self.tracking, self.registry)]
        open_to_all = all(one.scheme in {"http", "https"} and not one.username for one in servers)
        return open_to_all and not any(special) and not credentials.exists()

    def _asked(self, uri: str) -> str | None:
        if found := _REGISTERED.fullmatch(uri):
            name, alias, version = found.groups()
            if alias is not None:
                told = _get(self.registry, "mlflow/registered-models/alias", name=name, alias=alias)
                version = str(told["model_version"]["version"])
            at = _get(self.registry, "mlflow/model-versions/get-download-uri", name=name, version=version)
            location = str(at["artifact_uri"])
            return self._asked(location) if location.startswith("models:") else _lasting(location)
        if found := _LOGGED.fullmatch(uri):
            info = _get(self.tracking, f"mlflow/logged-models/{found[1]}")["model"]["info"]
            return _lasting(str(info["artifact_uri"])) if info["status"] == "LOGGED_MODEL_READY" else None
        return None

    def _is_same(self, location: str, folder: Path) -> bool:
        """Whether what a server has at a location is what lies in a folder: its files' sizes, and MLmodel's bytes.

        MLmodel names the model and the time when it was made.
        """
        found = _OF_LOGGED.fullmatch(location)
        if found is None:
            return False
        there = dict(self._files(found[1]))
        if any(there.get(name) != (folder / name).stat().st_size for name in read_folder(folder).files):
            return False
        told = _open(f"{self.tracking.rstrip('/')}/{_API}/mlflow-artifacts/artifacts/{quote(found[1])}/{MLMODEL}")
        return told == (folder / MLMODEL).read_bytes()

    def _files(self, path: str, below: str = "") -> Iterator[tuple[str, int]]:
        """Relative path and size of all files of a logged model."""
        for one in _get(self.tracking, "mlflow-artifacts/artifacts", path=path).get("files", []):
            name = f"{below}{one['path']}"
            if one.get("is_dir"):
                yield from self._files(f"{path}/{one['path']}", f"{name}/")
            else:
                yield name, int(one["file_size"])

    def _read(self, *key: str) -> dict[str, Any] | None:
        with suppress(OSError, ValueError):
            note = durable.read_json(self._place(key))
            return note if note and note.get("key") == list(key) else None
        return None

    def _write(self, note: dict[str, Any], *key: str) -> None:
        with suppress(OSError):  # a home may be read-only: then MLflow is asked each time
            durable.write_json(self._place(key), note | {"key": list(key)})

    def _place(self, key: tuple[str, ...]) -> Path:
        return self.home / NOTES / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]}.json"


def _lasting(location: str) -> str | None:
    """A location that needs no further question."""
    return None if location.startswith(("runs:", "models:")) else location


def _get(server: str, path: str, /, **asked: str) -> dict[str, Any]:
    query = f"?{urlencode(asked)}" if asked else ""
    found = json.loads(_open(f"{server.rstrip('/')}/{_API}/{path}{query}"))
    if not isinstance(found, dict):
        raise TypeError("no answer of MLflow")
    return found


def _open(url: str) -> bytes:
    import urllib.request

    with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 - http or https, see _asks_servers
        content: bytes = answer.read()
        return content
