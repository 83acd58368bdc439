"""CSV and JSON lines as input: what a run makes of them is what it makes of the same rows in Parquet."""

import codecs
import csv
import gzip
import io
import json
from contextlib import suppress
from dataclasses import replace

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from tests.integration.tiny import Tiny

import scoreline as sl
from scoreline import Csv, Files
from scoreline.errors import ConservationBroken, InputInvalid, InputMissing
from scoreline.output import row_id
from scoreline.testing.builders import small_units

CONTRACT = [sl.Field("left", pl.Int64(), nullable=True), sl.Field("right", pl.Float64())]
HEAD = b"left,right\n"


class Text(Tiny):
    """The tiny job over a text file."""

    def __init__(self, root, name="one.csv", **files):
        super().__init__(root)
        self.input.unlink()
        self.name, self.files = name, files
        self.input = root / "input" / name

    def job(self, into="output", **changes):
        source = Files(self.name.replace("one", "{slug}"), under=self.root / "input", **self.files)
        return super().job(into, **({"source": source, "contract": CONTRACT} | changes))

    def counts(self, content, **changes):
        """Where the rows of this content go."""
        self.input.write_bytes(content)
        counts = self.run(self.job(**changes), force=True).counts
        assert counts.rows_in == counts.scored + counts.left_out + counts.quarantined
        return counts

    def quarantined(self):
        return pl.read_parquet(self.run(self.job()).quarantine)


OPEN = {"gates": sl.Gates(quarantined_percent=100, quarantined_rows=None)}


def rows(count):
    return pl.DataFrame({"left": range(count), "right": [0.5 * n for n in range(count)]})


def as_ndjson(frame):
    written = io.BytesIO()
    frame.write_ndjson(written)
    return written.getvalue()


@pytest.mark.parametrize(
    ("name", "files", "encoded"),
    [
        ("one.csv", {}, lambda frame: frame.write_csv().encode()),
        ("one.csv.gz", {}, lambda frame: gzip.compress(frame.write_csv().encode())),
        (
            "one.csv",
            {"csv": Csv(separator=";", encoding="utf-16")},
            lambda f: f.write_csv(separator=";").encode("utf-16"),
        ),
        (
            "one.csv",
            {"csv": Csv(header=False, columns=["left", "right"])},
            lambda f: f.write_csv(include_header=False).encode(),
        ),
        ("one.jsonl", {}, as_ndjson),
        ("one.jsonl.gz", {}, lambda frame: gzip.compress(as_ndjson(frame))),
    ],
)
def test_the_same_rows_give_the_same_predictions_in_every_format(tmp_path, name, files, encoded):
    plain = Tiny(tmp_path / "parquet")
    rows(50).write_parquet(plain.input)
    plain.run(plain.job(contract=CONTRACT))
    text = Text(tmp_path / "text", name, **files)
    assert text.counts(encoded(rows(50))).scored == 50
    assert pl.read_parquet(text.target()).equals(pl.read_parquet(plain.target()))


def test_every_broken_record_is_one_rejected_row_with_its_text_and_number(tmp_path):
    text = Text(tmp_path)
    content = HEAD + b'1,0.5\n2\n3,1,5\nx,1\n4,\xff\n5,"2\n6,3\n'
    counts = text.counts(content, **OPEN)
    assert (counts.scored, counts.quarantined) == (2, 5)
    assert counts.reasons == {
        "record:too few fields": 1,
        "record:too many fields": 1,
        "left:not Int64": 1,
        "record:undecodable": 1,
        "record:quote not closed": 1,
    }
    kept = pl.read_parquet(text.run(text.job(**OPEN), force=True).quarantine)
    assert kept.select("scoreline.row", "left", "scoreline.raw").rows() == [
        (1, None, "2"),
        (2, None, "3,1,5"),
        (3, "x", None),
        (4, None, "4,\\xff"),
        (5, None, '5,"2'),
    ]
    assert pl.read_parquet(text.target())["row_id"].to_list() == ["one_0-0", "one_0-6"]


def test_ends_of_lines_around_a_broken_record_do_not_become_one(tmp_path):
    from scoreline.partition import Grid, Partition
    from scoreline.sources.csv import CsvSource
    from scoreline.template import Template

    (tmp_path / "one.csv").write_bytes(b'1\r\r"\n\n2\n')
    csv = Csv(header=False, columns=["left"])
    source = CsvSource(tmp_path, Template("{slug}.csv"), Grid("named"), csv=csv)
    (split,) = source.splits(source.fingerprint(Partition("one")), 1)
    (batch,) = source.read(split, ["left"])
    assert batch.frame["left"].to_list() == ["1", None, None, None, "2"]
    assert batch.frame["scoreline.raw"].to_list() == [None, None, '"', None, None]


def test_units_with_and_without_broken_records_make_one_quarantine_file(tmp_path):
    text = Text(tmp_path)
    content = HEAD + b"x,1\n2,2\n3\n4,4\ny,5\n"
    with small_units(2):
        text.counts(content, **OPEN)
        kept = pl.read_parquet(text.run(text.job(**OPEN), force=True).quarantine)
    assert kept.select("scoreline.row", "left", "scoreline.raw").rows() == [
        (0, "x", None),
        (2, None, "3"),
        (4, "y", None),
    ]


def test_json_values_of_another_kind_are_rejected_rows_with_their_text(tmp_path):
    text = Text(tmp_path, "one.jsonl")
    content = b'{"left":1,"right":2}\n{"left":1.5,"right":2}\n{"left":"1","right":2}\nx\n{"right":3}\n'
    counts = text.counts(content, **OPEN)
    assert counts.reasons == {"left:not Int64": 2, "record:not JSON": 1, "filter:left:null": 1}


def test_without_a_field_a_column_is_text_and_the_error_says_which_field_to_add(tmp_path):
    text = Text(tmp_path)
    with pytest.raises(InputInvalid, match="'right' is String") as error:
        text.counts(HEAD + b"1,2\n", contract=CONTRACT[:1])
    assert "Field('right', pl.Float64)" in error.value.hint


def test_text_in_parquet_where_a_number_is_declared_stays_an_error_of_the_file(tmp_path):
    tiny = Tiny(tmp_path)
    tiny.feed(left=["1"], right=[0.5])
    with pytest.raises(InputInvalid, match="wants 'left' as Int64, but the input has String"):
        tiny.run(tiny.job(contract=CONTRACT))


def test_a_value_that_the_contract_rejects_is_kept_as_it_was_read(tmp_path):
    text = Text(tmp_path)
    contract = [replace(CONTRACT[0], high=5), CONTRACT[1]]
    text.counts(HEAD + b" 007 ,1e0\n1,2\n", contract=contract, **OPEN)
    kept = pl.read_parquet(text.run(text.job(contract=contract, **OPEN), force=True).quarantine)
    assert kept.rows() == [(" 007 ", "1e0", ["left:above 5"], str(text.input), 0)]


def test_a_preview_shows_broken_records_too(tmp_path):
    text = Text(tmp_path)
    text.input.write_bytes(HEAD + b"1,2\n3\n4,5\n")
    from scoreline.assemble import assemble
    from scoreline.config import load
    from scoreline.previewing import preview

    job = text.job()
    scored, rejected, counts = preview(assemble(load(job, home=text.home)), job.grid.parse("one"), 2)
    assert (scored.height, counts.rows_in) == (1, 2)
    assert rejected["scoreline.raw"].to_list() == ["3"]


@pytest.mark.parametrize("name", ["one.csv", "one.jsonl"])
def test_a_broken_record_is_explained(tmp_path, name):
    text = Text(tmp_path, name)
    text.counts(HEAD + b"1,2\n3\n" if name == "one.csv" else b'{"left":1,"right":2}\n3\n', **OPEN)
    told = sl.explain(text.job(**OPEN), "one_0-1", home=text.home)
    assert told.fate == "quarantined"
    assert "record:" in told.detail
    assert told.input.values["scoreline.raw"] == "3"
    assert sl.explain(text.job(**OPEN), "one_0-0", home=text.home).recheck.equal


def test_a_file_whose_two_parsers_disagree_is_never_scored(tmp_path, monkeypatch):
    from scoreline.formats.csv_rows import CsvDialect

    text = Text(tmp_path)
    real = CsvDialect.parse

    def loses_one(self, *given):
        parsed = real(self, *given)
        return replace(parsed, rows=parsed.rows.head(parsed.rows.height - 1))

    monkeypatch.setattr(CsvDialect, "parse", loses_one)
    with pytest.raises((InputInvalid, ConservationBroken), match="3 records were counted from row 0 on, and 2 read"):
        text.counts(HEAD + b"1,2\n3,4\n5,6\n")


def test_a_bomb_is_refused_before_it_fills_anything(tmp_path, monkeypatch):
    from scoreline.formats import text_bytes

    monkeypatch.setattr(text_bytes, "_SURELY_FINE", 1 << 20)
    text = Text(tmp_path, "one.csv.gz")
    with pytest.raises(InputInvalid, match="unpacks to over"):
        text.counts(gzip.compress(HEAD + b"1,2\n" * 2_000_000))


def test_training_reads_text_as_scoring_does(tmp_path):
    from scoreline.partition import Partition
    from scoreline.sources.csv import CsvSource
    from scoreline.training_rows import chunks

    text = Text(tmp_path)
    text.input.write_bytes(HEAD + b"1,2\n3\n4,5\n")
    job = text.job(target="right", fit=lambda frame: frame, features=[sl.number("left")], filters=[])
    source = CsvSource(text.root / "input", job.source.template, job.grid)
    (chunk,) = chunks(job, source, Partition("one"), source.fingerprint(Partition("one")))
    assert chunk.target.to_list() == [2.0, 5.0]
    assert chunk.counts.reasons == {"record:too few fields": 1}


# --- fuzzing: nothing is lost, and nothing ends in a library's own error ---------------------------------------------

LINES = st.lists(
    st.sampled_from(
        [
            b"1,2",
            b"3",
            b"4,5,6",
            b"",
            b'"7","8"',
            b'9,"',
            b'"x"y,1',
            b"\xff,1",
            b"a,b",
            b"1,\x00",
            b'"1\n",2',
            b",",
            b"\xef\xbb\xbf1,2",
        ]
    )
    | st.binary(max_size=12),
    max_size=25,
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def read_csv(tmp_path_factory):
    return _reader(tmp_path_factory.mktemp("csv"), "a.csv")


@pytest.fixture(scope="module")
def read_jsonl(tmp_path_factory):
    return _reader(tmp_path_factory.mktemp("jsonl"), "a.jsonl")


def _reader(folder, name):
    """Reads content as a source does, and checks that what was counted comes: (whole rows, number of broken ones)."""
    from scoreline.catalog import SOURCES, find
    from scoreline.partition import Grid, Partition
    from scoreline.records import BROKEN
    from scoreline.template import Template

    (folder / "one").mkdir()
    suffix = name.partition(".")[2]
    source = find(SOURCES, suffix)(folder, Template("{slug}/*." + suffix), Grid("named"))

    def read(content, unit=4):
        (folder / "one" / name).write_bytes(content)
        with small_units(unit):
            files = source.fingerprint(Partition("one"))
            found = [b.frame for split in source.splits(files, 2) for b in source.read(split, ["left", "right"])]
        assert sum(frame.height for frame in found) == files[0].rows
        whole = [frame.filter(pl.col(BROKEN).is_null()) if BROKEN in frame.columns else frame for frame in found]
        good = [row for frame in whole for row in frame.select("left", "right").iter_rows()]
        return good, files[0].rows - len(good)

    return read


@FUZZ
@given(LINES, ENDS, st.integers(1, 6))
def test_any_csv_is_read_as_python_reads_it_where_that_has_an_opinion(read_csv, lines, end, unit):
    content = HEAD.rstrip() + end + end.join(lines)
    try:
        good, bad = read_csv(content, unit)
    except InputInvalid:
        return  # a file that cannot be read at all, such as one that begins like a gzip stream
    try:
        text = content.decode()
        expected = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row][1:]
    except (UnicodeDecodeError, csv.Error):
        return
    whole = [tuple(row) for row in expected if len(row) == 2]
    assert [tuple(value or "" for value in row) for row in good] == whole
    assert bad == len(expected) - len(whole)


@FUZZ
@given(
    st.lists(
        st.sampled_from(
            [
                b'{"left":"1","right":"2"}',
                b"{}",
                b"[]",
                b"",
                b'{"left":',
                b"\xff",
                b'{"left":{}}',
                b'{"left":"\\u00e9"}',
            ]
        )
        | st.binary(max_size=10),
        max_size=20,
    ),
    st.integers(1, 6),
)
@example(lines=[b"\r"], unit=1)
@example(lines=[b'{"":0}'], unit=1)
@example(lines=[b'{"left":"a"}\r'], unit=1)
@example(lines=[codecs.BOM_UTF8], unit=1)
@example(lines=[codecs.BOM_UTF8 + b'{"left":"a"}'], unit=1)
def test_any_json_lines_are_read_as_python_reads_them(read_jsonl, lines, unit):
    content = b"\n".join(lines)
    try:
        good, bad = read_jsonl(content, unit)
    except InputInvalid:
        return
    if content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return  # another encoding
    expected, broken = [], 0
    text = content.removeprefix(codecs.BOM_UTF8)  # it says how the file is encoded, and is part of no record
    for line in filter(None, (line.removesuffix(b"\r") for line in text.split(b"\n"))):
        try:
            found = json.loads(line.decode())
        except ValueError:
            found = None
        asked = (found.get("left"), found.get("right")) if isinstance(found, dict) else (0,)
        if all(isinstance(value, str | None) for value in asked):
            expected.append(asked)
        else:
            broken += 1
    assert (good, bad) == (expected, broken)


@FUZZ
@given(
    st.binary(max_size=300),
    st.sampled_from(["csv", "csv.gz", "jsonl"]),
    st.sampled_from(["utf-8", "utf-16", "cp1252", "shift_jis", "utf-32-be"]),
)
def test_random_bytes_end_in_rows_or_in_an_error_that_says_what_to_do(tmp_path_factory, content, suffix, encoding):
    from scoreline.catalog import SOURCES, find
    from scoreline.partition import Grid, Partition
    from scoreline.template import Template

    folder = tmp_path_factory.mktemp("random")
    (folder / f"one.{suffix}").write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    told = () if suffix == "jsonl" else (Csv(encoding=encoding, header=False, columns=["left", "right"]),)
    source = find(SOURCES, suffix.partition(".")[0])(folder, Template("{slug}." + suffix), Grid("named"), (), *told)
    with suppress(InputInvalid):  # a damaged stream, or an encoding that needs a mark
        files = source.fingerprint(Partition("one"))
        found = [b.frame.height for split in source.splits(files, 2) for b in source.read(split, ["left", "right"])]
        assert sum(found) == files[0].rows


def test_every_truncation_of_a_file_loses_nothing(read_csv):
    content = HEAD + 'ä,"1\n2"\r\n3,4\n"5""",6\n'.encode()
    for length in range(len(HEAD), len(content) + 1):
        good, bad = read_csv(content[:length])
        assert 0 <= len(good) + bad <= 3
        assert bad <= 2


def test_the_row_id_of_a_record_counts_the_broken_ones_before_it(tmp_path):
    text = Text(tmp_path)
    text.counts(HEAD + b"\xff\n1,2\n", output=[row_id("row_id"), sl.prediction("total")], **OPEN)
    assert pl.read_parquet(text.target())["row_id"].to_list() == ["one_0-1"]


def test_a_record_that_could_not_be_read_is_scored_as_corrected_and_explained(tmp_path):
    text = Text(tmp_path)
    text.counts(HEAD + b"1,0.5\n2\n3,3\n", **OPEN)
    fixes = tmp_path / "fixes.csv"
    fixes.write_text(f"scoreline.file,scoreline.row,left,right\n{text.input},1,7,8\n")
    job = text.job(**OPEN)
    replayed = sl.replay(job, "one", fixes, home=text.home)
    assert (replayed.run.counts.scored, replayed.run.counts.quarantined) == (3, 0)
    told = sl.explain(job, "one_0-1", home=text.home)
    assert [(one["column"], one["was"], one["now"]) for one in told.input.corrected] == [
        ("left", None, "7"),
        ("right", None, "8"),
    ]


def test_where_input_can_be_made_up_a_run_without_it_says_how(tmp_path):
    text = Text(tmp_path)
    text.input.write_bytes(HEAD + b"1,2\n")
    job = text.job(simulate=lambda *_: None)
    with pytest.raises(InputMissing) as caught:
        text.run(job, partition="two")
    assert "to make some up: scoreline simulate JOB two" in caught.value.hint


def test_one_bad_value_of_a_json_line_leaves_the_others_to_be_seen_and_kept_when_it_is_mended(tmp_path):
    text = Text(tmp_path, "one.jsonl")
    text.counts(b'{"left":1,"right":0.5}\n{"left":"2","right":8}\n{"left":3,"right":"x"}\n', **OPEN)
    job = text.job(**OPEN)
    rejected = pl.read_parquet(text.run(job).quarantine)
    assert rejected["left"].to_list() == [None, 3]
    assert rejected["right"].to_list() == [8.0, None]
    fixes = tmp_path / "fixes.csv"
    # The second row is as it was exported: nobody has mended it.
    fixes.write_text(
        f"scoreline.file,scoreline.row,left,right\n{text.input},1,2,8.0\n{text.input},2,3,\n", encoding="utf-8"
    )
    replayed = sl.replay(job, "one", fixes, home=text.home)
    assert (replayed.run.counts.scored, replayed.run.counts.quarantined) == (2, 1)
    assert replayed.run.counts.reasons == {"right:not Float64": 1}
    assert pl.read_parquet(text.target())["row_id"].to_list() == ["one_0-0", "one_0-1"]
