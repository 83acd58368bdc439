"""The suites of `scoreline.abc.Source` for sources of CSV and JSON lines: broken records, encodings, compression.

Their sample is text, for all that a format without types can hold is text.
"""

from __future__ import annotations

import gzip
import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

from scoreline.abc import Source
from scoreline.errors import InputInvalid
from scoreline.records import BROKEN, RAW
from scoreline.testing.builders import small_units, tiny_frame
from scoreline.testing.sources import MakeSource, SourceSuite
from scoreline.testing.suite import refused

_UNIT = 10

Told = tuple[int, list[str], str]
"""Row number, reasons, and text of a record that could not be read."""


class TextSourceSuite(SourceSuite):
    """What sources of text have in common.

    Args:
        make: as for `SourceSuite`.
        encode: rows as the text of a file.
        suffix: with its dot.
        folder: an empty one.
    """

    def __init__(self, make: MakeSource, encode: Callable[[pl.DataFrame], str], suffix: str, folder: Path) -> None:
        super().__init__(make, lambda path, frame: path.write_bytes(encode(frame).encode()), suffix, folder)
        self.encode = encode

    def check_a_mark_at_the_beginning_is_no_text(self) -> None:
        """A byte-order mark says what the encoding is, and is part of nothing."""
        frame = self.sample(23)
        for encoding in ("utf-8-sig", "utf-16", "utf-32"):
            self.put_bytes(self.encode(frame).encode(encoding), slug=encoding)
            with small_units(_UNIT):
                assert_frame_equal(self.rows(slug=encoding), frame, check_exact=True)

    def check_compressed_files_are_the_same_rows(self) -> None:
        """A gzip stream, also of several members, is read as what it holds, and counted so."""
        frame = self.sample(57)
        text = self.encode(frame).encode()
        for slug, content in (
            ("one", gzip.compress(text)),
            ("members", gzip.compress(text[:100]) + gzip.compress(text[100:])),
        ):
            self.put_bytes(content, slug=slug)
            with small_units(_UNIT):
                assert [file.rows for file in self.files(slug)] == [57]
                for workers in (1, 3):
                    assert_frame_equal(self.rows(workers=workers, slug=slug), frame, check_exact=True)

    def check_a_stream_is_one_split(self) -> None:
        """Nobody can begin in the middle of a compressed file, so one worker reads it."""
        self.put_bytes(gzip.compress(self.encode(self.sample(100)).encode()))
        with small_units(_UNIT):
            assert len(self.splits(workers=8)) == 1

    def check_a_damaged_stream_is_refused(self) -> None:
        """A gzip stream that is cut short, or has flipped bytes, is refused by name, or holds what it says."""
        path = self.put_bytes(gzip.compress(self.encode(self.sample(60)).encode()))
        whole = path.read_bytes()
        chance = random.Random(3)  # noqa: S311 - nothing secret
        for length in (2, 5, 10, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            error = refused(InputInvalid, f"{length} of {len(whole)} bytes were read", self.rows)
            assert str(path) in str(error)
        for _ in range(60):
            content = bytearray(whole)
            content[chance.randrange(12, len(content))] ^= 1 << chance.randrange(8)
            path.write_bytes(content)
            refused(InputInvalid, "a damaged stream was read", self.rows)

    def check_all_that_text_can_hold_comes_through(self) -> None:
        """Quotes, separators, ends of lines, foreign letters and NUL are kept within a value."""
        values = [
            '"',
            '""',
            ",",
            "\n",
            "\r\n",
            "\r",
            "'",
            "\\",
            "\x00",
            "ä漢🙂",
            " x ",
            "",
            "null",
            "\u2028",
            "\ufeffx",
        ]
        frame = pl.DataFrame({"row": values, "text": values[::-1]})
        self.put(frame)
        for unit in (1, 2, 100):
            with small_units(unit):
                assert_frame_equal(self.rows(columns=["row", "text"]), frame, check_exact=True)

    def check_blank_lines_are_no_rows(self) -> None:
        """Empty lines between and after records are passed over, with any end of line."""
        frame = self.sample(3)
        lines = self.encode(frame).splitlines(keepends=True)
        text = "".join(lines[:-1]) + "\n\r\n\n" + lines[-1] + "\n\n\r\n"
        self.put_bytes(text.encode())
        assert [file.rows for file in self.files()] == [3]
        assert_frame_equal(self.rows(), frame)

    def check_the_last_line_may_lack_its_end(self) -> None:
        """The end of the file ends the last record."""
        frame = self.sample(3)
        self.put_bytes(self.encode(frame).rstrip("\r\n").encode())
        assert_frame_equal(self.rows(), frame)

    def check_an_undecodable_record_is_one_row(self) -> None:
        """A record with a byte that is no text is told with its text; its neighbours are read."""
        text = self.encode(pl.DataFrame({"row": ["1", "2", "3"], "text": ["a", "bXb", "c"]}))
        self.put_bytes(text.encode().replace(b"X", b"\xff"))
        rows = self.rows(columns=["row", "text"])
        assert rows["row"].to_list() == ["1", None, "3"]
        ((number, reasons, raw),) = self.broken(["row", "text"])
        assert (number, reasons) == (1, ["record:undecodable"])
        assert r"b\xffb" in raw

    def check_a_line_that_is_too_long_is_one_row(self) -> None:
        """A line of many megabytes is told with its beginning, and no memory for it is needed."""
        lines = self.encode(pl.DataFrame({"row": ["1", "2"]})).encode().splitlines(keepends=True)
        for size in (5_000_000, 70_000_000):
            self.put_bytes(b"".join(lines[:-1]) + b"x" * size + b"\n" + lines[-1])
            assert [file.rows for file in self.files()] == [3]
            assert self.rows(columns=["row"])["row"].to_list() == ["1", None, "2"]
            ((number, reasons, raw),) = self.broken(["row"])
            assert (number, reasons) == (1, ["record:too long"])
            assert raw == "x" * 65_536

    def check_broken_records_have_their_numbers_in_every_plan(self) -> None:
        """Row numbers count broken records, wherever units end."""
        lines = self.encode(pl.DataFrame({"row": [str(n) for n in range(40)]})).encode().splitlines(keepends=True)
        first = len(lines) - 40
        for n in (0, 9, 10, 11, 38, 39):
            lines[first + n] = b"\xff\n"
        self.put_bytes(b"".join(lines))
        for unit in (1, 3, 10, 100):
            with small_units(unit):
                assert [number for number, _, _ in self.broken(["row"])] == [0, 9, 10, 11, 38, 39]
                assert self.rows(columns=["row"]).height == 40

    # -- words

    def sample(self, rows: int, first: int = 0) -> pl.DataFrame:
        """`tiny_frame` as text."""
        return tiny_frame(rows, first).with_columns(pl.all().cast(pl.String))

    def put_bytes(self, content: bytes, slug: str = "one") -> Path:
        """Writes an input file as it is."""
        path = self.path(slug=slug)
        path.write_bytes(content)
        return path

    def rows(self, columns: Sequence[str] = (), workers: int = 2, slug: str = "one") -> pl.DataFrame:
        """All rows, without what is told of broken records."""
        asked = list(columns or self.sample(0).columns)
        frames = [batch.frame.select(asked) for _, batch in self._batches(workers, asked, slug)]
        return pl.concat(frames) if frames else pl.DataFrame(schema=dict.fromkeys(asked, pl.String))

    def broken(self, columns: Sequence[str]) -> list[Told]:
        """Row number, reasons and text of all records that could not be read."""
        return [
            (batch.first_row + at, reasons, raw)
            for _, batch in self._batches(2, columns)
            if BROKEN in batch.frame.columns
            for at, (reasons, raw) in enumerate(batch.frame.select(BROKEN, RAW).iter_rows())
            if reasons is not None
        ]


class CsvSourceSuite(TextSourceSuite):
    """Checks a source of CSV files with a header, in UTF-8.

    Args:
        make: as for `SourceSuite`; files end in ``.csv``.
        folder: an empty one.
    """

    def __init__(self, make: MakeSource, folder: Path) -> None:
        super().__init__(make, lambda frame: frame.write_csv(), ".csv", folder)

    def check_a_missing_column_is_named(self) -> None:
        """Asked for what is not there, the error names the column and the file."""
        path = self.put(self.sample(12))
        error = refused(InputInvalid, "a column that is not there was read", self.rows, columns=["row", "smal"])
        for text in ("smal", "small", str(path)):
            assert text in str(error)

    def check_an_ambiguous_column_is_refused(self) -> None:
        """Where two columns have the asked name, nobody can know which one is meant; another column can be read."""
        self.put_bytes(b"a,a,b\n1,2,3\n")
        refused(InputInvalid, "one of two columns of the same name was read", self.rows, columns=["a"])
        assert self.rows(columns=["b"])["b"].to_list() == ["3"]

    def check_a_file_without_a_header_is_refused(self) -> None:
        """An empty file has no columns; one with a header has no rows."""
        for content in (b"", b"\n\n", b"\xef\xbb\xbf"):
            path = self.put_bytes(content)
            assert str(path) in str(refused(InputInvalid, "a file without a header was read", self.rows, columns=["a"]))
        self.put_bytes(b"a,b")
        assert [file.rows for file in self.files()] == [0]

    def check_ragged_records_are_rows_of_their_own(self) -> None:
        """A record with too few or too many fields is one row, told with its text; neither padded nor cut."""
        self.put_bytes(b'a,b,c\n1,2,3\n4,5\n6,7,8,9\n\n"x\ny",z,\n7\n')
        assert self.rows(columns=["a", "b", "c"]).rows() == [
            ("1", "2", "3"),
            (None, None, None),
            (None, None, None),
            ("x\ny", "z", None),
            (None, None, None),
        ]
        few, many = ["record:too few fields"], ["record:too many fields"]
        assert self.broken(["a"]) == [(1, few, "4,5"), (2, many, "6,7,8,9"), (4, few, "7")]

    def check_an_unquoted_empty_value_is_missing(self) -> None:
        """A quoted empty value is an empty text."""
        self.put_bytes(b'a,b\n,""\n"",\n')
        assert self.rows(columns=["a", "b"]).rows() == [(None, ""), ("", None)]

    def check_a_quote_that_is_not_closed_costs_one_line(self) -> None:
        """The lines after it are read."""
        self.put_bytes(b'a,b\n1,2\n3,"4\n5,6\n7,8')
        assert self.rows(columns=["a"])["a"].to_list() == ["1", None, "5", "7"]
        assert self.broken(["a"]) == [(1, ["record:quote not closed"], '3,"4')]

    def check_text_after_a_closing_quote_is_no_value(self) -> None:
        """So is what a quote that nobody meant has joined to one record."""
        self.put_bytes(b'a,b\n1,"2"x\n3,"4\n5,"6"\n7,8\n')
        assert self.rows(columns=["a"])["a"].to_list() == [None, None, "7"]
        reason = ["record:text after a closing quote"]
        assert self.broken(["a"]) == [(0, reason, '1,"2"x'), (1, reason, '3,"4\n5,"6"')]

    def check_a_quote_within_a_field_is_a_letter(self) -> None:
        """Only a quote at the beginning of a field opens it."""
        self.put_bytes(b'a,b\n6" pipe,1\nx"",2\n')
        assert self.rows(columns=["a"])["a"].to_list() == ['6" pipe', 'x""']

    def check_all_ends_of_lines(self) -> None:
        """Line feeds, carriage returns and both end a record."""
        for end in ("\n", "\r", "\r\n"):
            self.put_bytes(end.join(("a,b", "1,2", "", "3,4", "")).encode(), slug="one")
            with small_units(1):
                assert self.rows(columns=["a", "b"]).rows() == [("1", "2"), ("3", "4")]

    def check_an_empty_line_of_one_column_is_a_missing_value(self) -> None:
        """So that a file of one column loses no row."""
        self.put_bytes(b'a\n1\n\n""\n2\n')
        assert self.rows(columns=["a"])["a"].to_list() == ["1", None, "", "2"]

    def check_ten_thousand_columns(self) -> None:
        """A wide file is read as any other."""
        frame = pl.DataFrame({f"c{n}": [str(n), None] for n in range(10_000)})
        self.put(frame)
        assert self.rows(columns=["c9999", "c0"]).rows() == [("9999", "0"), (None, None)]


class JsonlSourceSuite(TextSourceSuite):
    """Checks a source of JSON lines.

    Args:
        make: as for `SourceSuite`; files end in ``.jsonl``.
        make_typed: makes one that knows of the keys ``whole`` (Int64), ``float`` (Float64), ``flag`` (Boolean) and
            ``text`` (String).
        folder: an empty one.
    """

    def __init__(self, make: MakeSource, make_typed: Callable[[Path], Source], folder: Path) -> None:
        super().__init__(make, _json_lines, ".jsonl", folder)
        self.typed = make_typed(folder)

    def check_a_missing_key_is_null(self) -> None:
        """Records may have keys that others lack."""
        self.put_bytes(b'{"a":"1"}\n{"b":"2","c":[{"a":3}]}\n{}\n')
        assert self.rows(columns=["a", "b"]).rows() == [("1", None), (None, "2"), (None, None)]

    def check_an_empty_file_has_no_rows(self) -> None:
        """It needs no header."""
        self.put_bytes(b"")
        assert [file.rows for file in self.files()] == [0]

    def check_values_have_their_declared_types(self) -> None:
        """Exactly, to the last digit."""
        self.put_bytes(
            b'{"whole":9223372036854775807,"float":0.1,"flag":true,"text":"5"}\n{"whole":null,"float":2,"flag":false}\n'
        )
        assert self.typed_rows().rows() == [(2**63 - 1, 0.1, True, "5"), (None, 2.0, False, None)]

    def check_other_kinds_of_values_break_their_record(self) -> None:
        """What is no value of the declared type is named, and never bent; the lines around it are read."""
        lines = {
            b'{"whole":1.5}': "whole:not Int64",
            b'{"whole":"1"}': "whole:not Int64",
            b'{"whole":9223372036854775808}': "whole:not Int64",
            b'{"whole":true}': "whole:not Int64",
            b'{"float":"1"}': "float:not Float64",
            b'{"flag":1}': "flag:not Boolean",
            b'{"text":5}': "text:not String",
            b'{"text":[]}': "text:not String",
            b'{"whole":1,"whole":2}': "record:key twice",
            b"[1]": "record:not an object",
            b"null": "record:not an object",
            b"{": "record:not JSON",
            b'{"whole":1}{"whole":2}': "record:not JSON",
            b'{"text":"\\ud800"}': "record:undecodable",
        }
        for line, reason in lines.items():
            self.put_bytes(b'{"whole":7}\n' + line + b'\n{"whole":1.0}\n')
            rows = self.typed_rows()
            assert rows["whole"].to_list() == [7, None, 1], line
            assert self.typed_broken() == [(1, [reason], line.decode())]

    def check_a_number_without_a_type_is_its_text(self) -> None:
        """A key that nobody declares is text, as it is written."""
        self.put_bytes(b'{"a":"x"}\n{"a":1.50}\n{"a":true}\n{"a":12345678901234567890123}\n')
        assert self.rows(columns=["a"])["a"].to_list() == ["x", "1.50", "true", "12345678901234567890123"]

    # -- words

    def typed_rows(self) -> pl.DataFrame:
        """All rows of the typed source."""
        return pl.concat([frame.select("whole", "float", "flag", "text") for frame in self._typed_frames()])

    def typed_broken(self) -> list[Told]:
        """What is told of the broken records of a file that is one unit."""
        (frame,) = self._typed_frames()
        told = frame.with_row_index("at").filter(pl.col(BROKEN).is_not_null())
        return list(told.select("at", BROKEN, RAW).iter_rows())

    def _typed_frames(self) -> list[pl.DataFrame]:
        files = self.files()
        return [
            batch.frame
            for split in self.typed.splits(files, 2)
            for batch in self.typed.read(split, ["whole", "float", "flag", "text"])
        ]


def _json_lines(frame: pl.DataFrame) -> str:
    written = io.BytesIO()
    frame.write_ndjson(written)
    return written.getvalue().decode()
