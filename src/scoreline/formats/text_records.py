"""Text records: a CSV or JSON lines file as blocks of whole records, counted by their line ends alone.

The count is a second opinion: it looks at quotes and line ends of the finished text and knows nothing of who wrote it.
Memory is bounded by a block, or by the longest record where that is longer.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

_CHUNK: Final = 8 * 1024 * 1024
_LINE_END: Final = 10
_QUOTE: Final = 34


@dataclass(frozen=True, slots=True)
class Block:
    """Some whole records in their order.

    Attributes:
        text: UTF-8, with a line end after each record.
        records: how many.
    """

    text: bytes
    records: int

    def without_first(self) -> Block:
        """The block without its first record, which is a header."""
        ends = _ends(self.text, quoted=True)
        return Block(self.text[ends[0] :], self.records - 1) if ends else self


def blocks(handle: BinaryIO, *, compressed: bool, quoted: bool, encoding: str = "utf-8") -> Iterator[Block]:
    """Reads from the handle's position to its end.

    Args:
        handle: of the file.
        compressed: whether it is gzip; it may have any number of members.
        quoted: whether line ends between quotes belong to the record, as in CSV.
        encoding: of the text.

    Raises:
        ValueError: the bytes are no gzip, no text, or end within a record.
    """
    source = gzip.GzipFile(fileobj=handle, mode="rb") if compressed else handle
    decoded, rest = _decoder(encoding), b""
    try:
        while chunk := source.read(_CHUNK):
            rest += decoded(chunk, False)
            ends = _ends(rest, quoted=quoted)
            if ends:
                yield Block(rest[: ends[-1]], ends[-2])
                rest = rest[ends[-1] :]
        rest += decoded(b"", True)
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        raise ValueError(f"is damaged: {error}") from error
    if rest:
        raise ValueError("ends within a record")


def count(handle: BinaryIO, *, compressed: bool, quoted: bool, encoding: str = "utf-8") -> int:
    """The number of records from the handle's position to its end; arguments as for `blocks`."""
    return sum(block.records for block in blocks(handle, compressed=compressed, quoted=quoted, encoding=encoding))


def _decoder(encoding: str) -> Callable[[bytes, bool], bytes]:
    if codecs.lookup(encoding).name == "utf-8":
        return lambda data, _final: data
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    return lambda data, final: decoder.decode(data, final).encode()


def _ends(text: bytes, *, quoted: bool) -> tuple[int, int, int] | tuple[()]:
    """Where the first record ends, how many there are, and where the last one ends; nothing without a whole one."""
    if not quoted or b'"' not in text:
        first, number, last = text.find(b"\n") + 1, text.count(b"\n"), text.rfind(b"\n") + 1
        return (first, number, last) if number else ()
    import numpy as np

    codes = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(codes == _LINE_END)
    # A quote within quotes is doubled, so that it opens and closes nothing on balance.
    ends = ends[np.searchsorted(np.flatnonzero(codes == _QUOTE), ends) % 2 == 0]
    return (int(ends[0]) + 1, len(ends), int(ends[-1]) + 1) if len(ends) else ()
