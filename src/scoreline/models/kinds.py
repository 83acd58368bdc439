"""Kinds of model files, told by their names: pickles and skops files, files in a library's own format, pyfunc folders.

A file in a library's own format runs no code. But the library may crash over a damaged one and take this process along,
so it is first tried in another process, once for each content and version of the library.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from scoreline.card import running_versions
from scoreline.errors import MissingExtra, ModelInvalid

if TYPE_CHECKING:
    from scoreline.models.native import Native

SKOPS, MLMODEL = ".skops", "MLmodel"
PICKLES = {".bin", ".pkl", ".pickle", ".joblib"}
SKLEARN, PYFUNC = "sklearn", "pyfunc"
_ENDED: dict[tuple[str, str], int | None] = {}
"""(SHA-256 of a file, library) -> how its trial ended, in this process."""
_OBJECTIVE = re.compile(rb"(reg|binary|multi|rank|count|survival):[a-z_]+")
_PATIENCE = 120.0
"""Seconds for a file to be tried; importing a library takes some."""


@dataclass(frozen=True)
class Library:
    """A library whose own files are read.

    Attributes:
        called: its name, for people.
        module: reads its files.
        package: as `scoreline.card.PACKAGES` calls it.
        extra: that brings it.
        suffixes: of its files.
    """

    called: str
    module: str
    package: str
    extra: str
    suffixes: tuple[str, ...]


LIBRARIES = {
    "xgboost": Library(
        "XGBoost",
        "scoreline.models.xgboost",
        "xgboost",
        "xgboost",
        (".json", ".ubj", ".xgb", ".model", ".deprecated"),
    ),
    "lightgbm": Library("LightGBM", "scoreline.models.lightgbm", "lightgbm", "lightgbm", (".txt", ".lgb")),
    "onnx": Library("ONNX Runtime", "scoreline.models.onnx", "onnxruntime", "onnx", (".onnx",)),
}
_BY_SUFFIX = {suffix: kind for kind, library in LIBRARIES.items() for suffix in library.suffixes}
SUFFIXES = PICKLES | {SKOPS} | set(_BY_SUFFIX)
"""Of all files that may be models."""


def kind_of(file: Path) -> str:
    """``sklearn`` for pickles and skops files, ``pyfunc`` for the MLmodel of a folder, else the library's name."""
    return PYFUNC if file.name == MLMODEL else _BY_SUFFIX.get(file.suffix.lower(), SKLEARN)


def needs_no_trust(file: Path) -> bool:
    """Whether loading a file runs none of its code, whoever made it."""
    return kind_of(file) in LIBRARIES


def installed(kind: str) -> str | None:
    """Version of the library of a kind, None where it is not installed."""
    package = LIBRARIES[kind].package
    return running_versions((package,)).get(package)


def extra_of(file: Path) -> str:
    """The extra that a model file needs."""
    kind = kind_of(file)
    return LIBRARIES[kind].extra if kind in LIBRARIES else "mlflow" if kind == PYFUNC else "sklearn"


def is_old_binary(content: bytes) -> bool:
    """Whether a file begins as one of XGBoost's binary format, which ended with XGBoost 3.1."""
    if content[:4] == b"binf":
        return True
    return content[:1] not in {b"{", b"\x80", b""} and _OBJECTIVE.search(content[:256]) is not None


def refuse_old_binary(path: str) -> ModelInvalid:
    """What to say of such a file."""
    return ModelInvalid(
        f"{path} is in XGBoost's old binary format, which XGBoost 3.1 and later cannot read",
        hint='convert it with the XGBoost that made it, or any before 3.1: python -c "import xgboost; '
        "xgboost.Booster(model_file='OLD').save_model('model.ubj')\"",
    )


def read_native(content: bytes, path: str, tried: Path | None = None) -> Native:
    """A model file in a library's own format.

    Args:
        content: of the file.
        path: of the file.
        tried: folder where it is noted that the content is sound; None tries it each time.

    Raises:
        ModelInvalid: the file is damaged.
        MissingExtra: the library is not installed.
    """
    kind = kind_of(Path(path))
    library = LIBRARIES[kind]
    version = installed(kind)
    if version is None:
        raise MissingExtra(
            f"{library.called} is not installed, and the model needs it",
            hint=f"pip install 'scoreline[{library.extra}]'",
        )
    adapter = import_module(library.module)
    adapter.require_whole(content, path)
    _require_harmless(content, path, library, tried / f".sound-{kind}-{version}" if tried else None)
    made: Native = adapter.read(content, path)
    return made


def _require_harmless(content: bytes, path: str, library: Library, mark: Path | None) -> None:
    """Refuses a file over which its library crashes; what it merely refuses is said when it is read here."""
    digest = hashlib.sha256(content).hexdigest()
    if mark is not None and mark.is_file() and mark.read_text("utf-8", errors="replace") == digest:
        return
    known = (digest, library.called)
    if known not in _ENDED:
        _ENDED[known] = _tried_apart(content, library)
    ended = _ENDED[known]
    if ended is not None and ended < 0:
        raise ModelInvalid(
            f"the model {path} makes {library.called} crash (signal {-ended})",
            hint="it is damaged or cut short: copy or save it again",
        )
    if ended == 0 and mark is not None and mark.parent.is_dir():
        mark.write_text(digest, encoding="utf-8")


def _tried_apart(content: bytes, library: Library) -> int | None:
    """How a process ended that has read the content and predicted something; None where none could be started."""
    # Without scikit-learn, which these libraries import where they find it: that takes longer than all the rest.
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        f"from {library.module} import read\n"
        "read(sys.stdin.buffer.read(), 'model').try_out()"
    )
    paths = os.pathsep.join(place or os.getcwd() for place in sys.path)  # noqa: PTH109 - as Python reads it
    try:
        done = subprocess.run(  # noqa: S603 - this Python, with code of our own
            [sys.executable, "-c", code],
            input=content,
            env=os.environ | {"PYTHONPATH": paths},
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelInvalid(
            f"{library.called} did not read the model within {_PATIENCE:.0f} s", hint="is it damaged?"
        ) from error
    except OSError:
        return None
    return done.returncode
