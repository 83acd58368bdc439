"""The bytes of a text file: compressed or not, in whatever encoding, as one text that begins after its mark.

Encodings of one byte a character and UTF-8 leave ASCII as it is, so such a file is read as it lies, from any byte.
Others, and compressed files, are a stream: they are read from their beginning, as UTF-8. A byte that its encoding does
not know becomes bytes that are no UTF-8 either, so that the record that holds it is found later.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, BinaryIO

from scoreline.errors import InputInvalid

CHUNK = 1 << 22
UTF8 = "utf-8"
_GZIP = b"\x1f\x8b"
_MARKS = {
    codecs.BOM_UTF8: UTF8,
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_MARK = "\ufeff"
_SURELY_FINE = 1 << 30
_LARGEST_RATIO = 200


class TextBytes:
    """An open text file.

    Args:
        handle: of the file.
        path: for errors.
        encoding: by Python's name for it; a byte-order mark says better.
    """

    def __init__(self, handle: BinaryIO, path: str, encoding: str) -> None:
        self._handle, self._path = handle, path
        handle.seek(0)
        self._compressed = handle.read(2) == _GZIP
        self._size = os.fstat(handle.fileno()).st_size
        beginning = self._piece(self._opened(), 4)
        mark = next((mark for mark in _MARKS if beginning.startswith(mark)), b"")
        self._stored = _MARKS.get(mark) or codecs.lookup(encoding).name.removesuffix("-sig")
        self._plain = is_ascii_compatible(self._stored)
        self._origin = len(mark) if self._plain else 0

    @property
    def is_stream(self) -> bool:
        """Whether it can only be read from its beginning."""
        return self._compressed or not self._plain

    @property
    def encoding(self) -> str:
        """Of the bytes that are handed out."""
        return self._stored if self._plain else UTF8

    def chunks(self, begin: int = 0, heard: Callable[[bytes], object] | None = None) -> Iterator[bytes]:
        """The text from a byte on, in pieces of some megabytes.

        Args:
            begin: position, as a stream counts it or as the file does after its mark.
            heard: called with the bytes as they lie, all of the file where ``begin`` is 0.

        Raises:
            InputInvalid: what is compressed is damaged, or too large when it is unpacked.
        """
        if not self.is_stream:
            yield from self._lying(begin, heard)
            return
        for chunk in self._streamed(heard):
            if begin < len(chunk):
                yield chunk[begin:] if begin else chunk
            begin = max(0, begin - len(chunk))

    def _lying(self, begin: int, heard: Callable[[bytes], object] | None) -> Iterator[bytes]:
        self._handle.seek(0 if heard else self._origin + begin)
        passed = self._origin + begin if heard else 0
        while chunk := self._handle.read(CHUNK):
            if heard:
                heard(chunk)
            if passed < len(chunk):
                yield chunk[passed:] if passed else chunk
            passed = max(0, passed - len(chunk))

    def _streamed(self, heard: Callable[[bytes], object] | None) -> Iterator[bytes]:
        if self._plain:
            passed = self._origin
            for chunk in self._unpacked(heard):
                if passed < len(chunk):
                    yield chunk[passed:]
                passed = max(0, passed - len(chunk))
            return
        decoder: Any = codecs.getincrementaldecoder(self._stored)(errors=_marking())
        beginning = True
        for chunk in self._unpacked(heard):
            text = self._decoded(decoder, chunk)
            if text:
                yield _encoded(text.removeprefix(_MARK) if beginning else text)
                beginning = False
        yield _encoded(self._decoded(decoder, b"", final=True))

    def _decoded(self, decoder: Any, chunk: bytes, *, final: bool = False) -> str:
        try:
            return str(decoder.decode(chunk, final=final))
        except UnicodeError as error:
            # Single bytes that are no text are marked; this one is about the whole.
            raise InputInvalid(
                f"{self._path} cannot be read as {self._stored}: {error}",
                hint="name the encoding exactly, such as csv=Csv(encoding='utf-16-le')",
            ) from error

    def _unpacked(self, heard: Callable[[bytes], object] | None) -> Iterator[bytes]:
        total = 0
        opened = self._opened(heard)
        while chunk := self._piece(opened):
            total += len(chunk)
            if self._compressed and total > max(_SURELY_FINE, self._size * _LARGEST_RATIO):
                raise InputInvalid(
                    f"{self._path} unpacks to over {_SURELY_FINE:,} bytes, and {_LARGEST_RATIO} times its size",
                    hint="if it really holds so much, unpack it yourself (gunzip) and let the job read that",
                )
            yield chunk

    def _piece(self, opened: Any, size: int = CHUNK) -> bytes:
        try:
            return bytes(opened.read(size))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputInvalid(
                f"{self._path} cannot be unpacked: {error}", hint="the file is truncated or damaged: fetch it again"
            ) from error

    def _opened(self, heard: Callable[[bytes], object] | None = None) -> Any:
        self._handle.seek(0)
        lying = _Heard(self._handle, heard) if heard else self._handle
        return gzip.GzipFile(fileobj=lying, mode="rb") if self._compressed else lying  # type: ignore[arg-type]


class _Heard:
    """A file that tells what is read of it."""

    def __init__(self, handle: BinaryIO, heard: Callable[[bytes], object]) -> None:
        self._handle, self._heard = handle, heard

    def read(self, size: int = -1) -> bytes:
        data = self._handle.read(size)
        self._heard(data)
        return data


def sha256() -> Any:
    """A hash to be fed with a file's bytes."""
    return hashlib.sha256()


@cache
def is_ascii_compatible(encoding: str) -> bool:
    """Whether bytes below 128 always stand for ASCII, so that separators and ends of lines are found in the bytes."""
    name = codecs.lookup(encoding).name
    if name in {UTF8, "ascii"}:
        return True
    ascii_ = bytes(range(128))
    if ascii_.decode(encoding, "replace") != ascii_.decode("ascii"):
        return False
    # Where two bytes make one letter, the second one may look like a separator.
    pairs = (bytes([high, low]) for high in range(128, 256) for low in (0x41, 0x30, high))
    return all(len(pair.decode(encoding, "replace")) == 2 for pair in pairs)


@cache
def _marking() -> str:
    name = "scoreline.marked"
    codecs.register_error(name, _marked)
    return name


def _marked(error: UnicodeError) -> tuple[str, int]:
    """Bytes that are no text as lone surrogates, which UTF-8 has no form for."""
    assert isinstance(error, UnicodeDecodeError)
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


def _encoded(text: str) -> bytes:
    return text.encode(UTF8, "surrogatepass")
