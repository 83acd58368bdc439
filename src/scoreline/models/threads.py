"""Threads of the libraries that a model's Python code calls, limited while it predicts, by threadpoolctl.

It comes with scikit-learn; without it, only the environment of worker processes limits anything. XGBoost, LightGBM and
ONNX Runtime are told by their own adapters.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scoreline import budget

_LOCK = threading.Lock()


class _Known:
    """The libraries with threads of their own that this process has loaded.

    Attributes:
        controller: of threadpoolctl, None where it is not installed.
        modules: how many Python had imported then, and the last of them: with others there may be other libraries.
        users: calls that need BLAS in one thread.
        blas: restores what it was before the first of them.
    """

    controller: Any = None
    modules: tuple[int, str] | None = None
    users: int = 0
    blas: Any = None

    def look(self) -> Any:
        with _LOCK:
            # Before they are looked for: another thread may import one meanwhile.
            modules = len(sys.modules), next(reversed(sys.modules))
            if self.modules != modules:
                try:
                    import threadpoolctl
                except ImportError:
                    return None
                self.controller = threadpoolctl.ThreadpoolController()
                self.modules = modules
            return self.controller


_known = _Known()


@contextmanager
def limited() -> Iterator[None]:
    """Within it OpenMP has this thread's share of the cores, and BLAS one thread.

    OpenMP's loops go over rows. BLAS may add up in another order with other threads, so that a prediction's last bits
    would follow from the number of workers.
    """
    controller = _known.look()
    if controller is None:
        yield
        return
    with controller.select(user_api="openmp").limit(limits=budget.threads()):  # of this thread alone
        _hold_blas(controller)
        try:
            yield
        finally:
            _release_blas()


def _hold_blas(controller: Any) -> None:
    # It is set for the whole process: the first call sets it, the last one sets it back.
    with _LOCK:
        if not _known.users:
            _known.blas = controller.select(user_api="blas").limit(limits=1)
        _known.users += 1


def _release_blas() -> None:
    with _LOCK:
        _known.users -= 1
        if not _known.users:
            _known.blas.restore_original_limits()
