"""Shortage: which errors mean that memory ran out.

Python, NumPy and Arrow raise `MemoryError`; native libraries raise errors of their own with a few known words, and
adapters wrap what a model raises. Where Polars itself finds no memory it ends the process, which only another one can
notice.
"""

from __future__ import annotations

_WORDS = (
    "bad_alloc",  # C++: XGBoost, LightGBM, ONNX Runtime
    "bad allocation",
    "Failed to allocate memory for requested buffer",  # ONNX Runtime's arena
    "Cannot allocate memory (os error 12)",  # Polars, where it maps or reads a file
)


def ran_short(error: BaseException) -> bool:
    """Whether an error, or what it came from, says that there was no memory."""
    seen: set[int] = set()
    told: BaseException | None = error
    while told is not None and id(told) not in seen:
        seen.add(id(told))
        if isinstance(told, MemoryError) or any(words in str(told) for words in _WORDS):
            return True
        told = told.__cause__ or told.__context__
    return False
