import ast
import datetime as dt
import hashlib
import io
import sys
import tracemalloc
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scoreline.formats import parquet_join
from scoreline.formats import thrift_compact as thrift
from scoreline.formats.joined import HashedOutput, JoinReceipt
from scoreline.formats.parquet_join import (
    footer_digest,
    join_parts,
    read_footer,
    read_footer_metadata,
)
from scoreline.formats.thrift_compact import Field, Sequence, Struct

ROWS = 1000
DATA_PAGE, INDEX_PAGE, DICTIONARY_PAGE, BLOOM_FILTER = 9, 10, 11, 14


def table(start, rows=ROWS):
    """Rows that can be told apart, with nulls, nesting, repeated texts and several kinds of time."""
    ids = list(range(start, start + rows))
    moment = dt.datetime(2021, 2, 1)  # noqa: DTZ001
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "zone": pa.array([f"zone {i % 7}" if i % 5 else None for i in ids], pa.string()),
            "distance": pa.array([i / 8 if i % 3 else None for i in ids], pa.float64()),
            "flag": pa.array([i % 2 == 0 for i in ids], pa.bool_()),
            "at": pa.array([moment + dt.timedelta(seconds=i) for i in ids], pa.timestamp("us")),
            "at_utc": pa.array([moment + dt.timedelta(seconds=i) for i in ids], pa.timestamp("ms", tz="UTC")),
            "day": pa.array([moment.date() + dt.timedelta(days=i % 900) for i in ids], pa.date32()),
            "price": pa.array([Decimal(i).scaleb(-2) for i in ids], pa.decimal128(12, 2)),
            "tags": pa.array([[f"t{k}" for k in range(i % 4)] if i % 6 else None for i in ids], pa.list_(pa.string())),
            "trip": pa.array(
                [{"pu": i % 265, "do": None if i % 4 else i} if i % 9 else None for i in ids],
                pa.struct({"pu": pa.int16(), "do": pa.int64()}),
            ),
        }
    )


def expected(tables):
    return pa.concat_tables(tables)


def write_parts(folder, tables, **options):
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number:03}.part" for number in range(len(tables))]
    for path, part in zip(paths, tables, strict=True):
        pq.write_table(part, path, **({"row_group_size": 300} | options))
    return paths


def join(paths, target, metadata=None):
    with target.open("wb") as handle:
        return join_parts(paths, handle, lambda: metadata or {})


@pytest.fixture(scope="module")
def tables():
    return [table(0), table(1000, 1), table(1001, 0), table(1001, 2500)]


@pytest.fixture(scope="module")
def joined(tables, tmp_path_factory):
    folder = tmp_path_factory.mktemp("joined")
    target = folder / "joined.parquet"
    join(write_parts(folder, tables), target)
    return target


@pytest.fixture
def part(tmp_path):
    return write_parts(tmp_path, [table(0)])[0]


def footer_tree(path):
    data = path.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    return thrift.decode(data[-8 - length : -8])[0]


def with_footer(path, tree):
    """Give a file another footer."""
    data = path.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    footer = thrift.encode(tree)
    path.write_bytes(data[: -8 - length] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    return path


def with_field(struct, *fields):
    changed = {field.id: field for field in struct.fields} | {field.id: field for field in fields}
    return Struct(tuple(changed[key] for key in sorted(changed)))


def without_field(struct, field_id):
    return Struct(tuple(field for field in struct.fields if field.id != field_id))


def struct_list(members):
    return Sequence(thrift.STRUCT, tuple(members))


def with_chunks(tree, change):
    """Apply `change` to every ColumnChunk of a FileMetaData."""
    groups = [
        with_field(group, Field(1, thrift.LIST, struct_list(map(change, group.structs(1)))))
        for group in tree.structs(4)
    ]
    return with_field(tree, Field(4, thrift.LIST, struct_list(groups)))


def with_column_field(tree, *fields):
    """Set fields of every ColumnMetaData."""

    def change(chunk):
        meta = with_field(chunk.require(3, Struct), *fields)
        return with_field(chunk, Field(3, thrift.STRUCT, meta))

    return with_chunks(tree, change)


# --------------------------------------------------------------- every reader sees the rows in order

PYARROW_OPTIONS = {
    "snappy": {"compression": "snappy"},
    "zstd": {"compression": "zstd"},
    "uncompressed": {"compression": "none"},
    "no dictionary": {"use_dictionary": False},
    "page version 2": {"data_page_version": "2.0"},
    "page index": {"write_page_index": True, "data_page_size": 500},
    "no statistics": {"write_statistics": False},
    "no arrow schema": {"store_schema": False},
    "checksums": {"write_page_checksum": True},
    "one row group": {"row_group_size": 10_000},
}


@pytest.mark.parametrize("options", PYARROW_OPTIONS.values(), ids=PYARROW_OPTIONS)
def test_pyarrow_reads_what_pyarrow_wrote(options, tables, tmp_path):
    parts = write_parts(tmp_path, tables, **options)
    join(parts, tmp_path / "joined.parquet")
    read = pq.read_table(tmp_path / "joined.parquet", page_checksum_verification="checksums" in options)
    assert read.equals(pa.concat_tables([pq.read_table(part) for part in parts]))
    assert read.column("id").to_pylist() == list(range(3501))


@pytest.mark.parametrize("options", PYARROW_OPTIONS.values(), ids=PYARROW_OPTIONS)
def test_polars_reads_what_pyarrow_wrote(options, tables, tmp_path):
    parts = write_parts(tmp_path, tables, **options)
    join(parts, tmp_path / "joined.parquet")
    whole = pl.concat([pl.read_parquet(part) for part in parts])
    assert pl.read_parquet(tmp_path / "joined.parquet").equals(whole)
    assert pl.scan_parquet(tmp_path / "joined.parquet").collect().equals(whole)


@pytest.mark.parametrize("compression", ["zstd", "snappy", "uncompressed", "lz4"])
def test_readers_agree_on_what_polars_wrote(compression, tables, tmp_path):
    frames = [pl.from_arrow(part) for part in tables]
    parts = [tmp_path / f"{number}.part" for number in range(len(frames))]
    for path, frame in zip(parts, frames, strict=True):
        frame.write_parquet(path, compression=compression, row_group_size=300)
    join(parts, tmp_path / "joined.parquet")
    assert pl.read_parquet(tmp_path / "joined.parquet").equals(pl.concat(frames))
    whole = pa.concat_tables([pq.read_table(part) for part in parts])
    assert pq.read_table(tmp_path / "joined.parquet").equals(whole)


def test_polars_categories_survive_though_each_part_has_its_own(tmp_path):
    frames = [pl.DataFrame({"zone": pl.Series(zones, dtype=pl.Categorical)}) for zones in (["a", "b"], ["c", "a"])]
    parts = [tmp_path / "0.part", tmp_path / "1.part"]
    for path, frame in zip(parts, frames, strict=True):
        frame.write_parquet(path)
    join(parts, tmp_path / "joined.parquet")
    read = pl.read_parquet(tmp_path / "joined.parquet")
    assert read.schema["zone"] == pl.Categorical
    assert read["zone"].cast(pl.String).to_list() == ["a", "b", "c", "a"]


def test_pandas_reads_it(joined, tables):
    pd.testing.assert_frame_equal(pd.read_parquet(joined), expected(tables).to_pandas())


def test_duckdb_reads_it(joined, tables):
    with duckdb.connect() as connection:
        read = connection.sql("from read_parquet(?)", params=[str(joined)]).to_arrow_table()
    whole = expected(tables)
    assert read.column("id").to_pylist() == whole.column("id").to_pylist()
    assert read.drop_columns("at_utc").to_pylist() == whole.drop_columns("at_utc").to_pylist()


def test_two_hundred_parts_keep_their_order(tmp_path):
    small = [table(number * 10, 10) for number in range(200)]
    parts = write_parts(tmp_path / "parts", small, row_group_size=4)
    receipt = join(parts, tmp_path / "joined.parquet")
    assert receipt.rows == 2000
    assert pq.read_metadata(tmp_path / "joined.parquet").num_row_groups == 600
    assert pl.read_parquet(tmp_path / "joined.parquet")["id"].to_list() == list(range(2000))
    assert pq.read_table(tmp_path / "joined.parquet").equals(expected(small))


def test_a_joined_file_is_a_part_like_any_other(joined, tables, tmp_path):
    join([joined, joined], tmp_path / "twice.parquet")
    assert pq.read_table(tmp_path / "twice.parquet").equals(expected([*tables, *tables]))


# -------------------------------------------------------------------------------- parts without rows


def test_parts_without_rows_add_nothing(tmp_path):
    parts = write_parts(tmp_path, [table(0, 0), table(0, 5), table(5, 0)])
    receipt = join(parts, tmp_path / "joined.parquet")
    assert receipt.rows == 5
    assert pq.read_metadata(tmp_path / "joined.parquet").num_row_groups == 1
    assert pq.read_table(tmp_path / "joined.parquet").equals(table(0, 5))


@pytest.mark.parametrize("count", [1, 3])
def test_only_empty_parts_give_a_valid_empty_file(count, tmp_path):
    parts = write_parts(tmp_path, [table(0, 0)] * count)
    assert join(parts, tmp_path / "joined.parquet").rows == 0
    assert pq.read_table(tmp_path / "joined.parquet").equals(table(0, 0))
    empty = pl.read_parquet(tmp_path / "joined.parquet")
    assert empty.schema == pl.from_arrow(table(0, 0)).schema
    assert empty.height == 0


def test_an_empty_part_of_polars_adds_nothing(tmp_path):
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    frame.clear().write_parquet(tmp_path / "0.part")
    frame.write_parquet(tmp_path / "1.part")
    join([tmp_path / "0.part", tmp_path / "1.part"], tmp_path / "joined.parquet")
    assert pl.read_parquet(tmp_path / "joined.parquet").equals(frame)


def test_no_parts_at_all_is_a_value_error():
    with pytest.raises(ValueError, match="no parts to join"):
        join_parts([], io.BytesIO(), dict)


# ---------------------------------------------------------------------- statistics and bloom filters


def test_statistics_of_every_column_survive(tmp_path, tables):
    parts = write_parts(tmp_path, tables)
    join(parts, tmp_path / "joined.parquet")
    assert statistics([tmp_path / "joined.parquet"]) == statistics(parts)


def statistics(paths):
    found = []
    for metadata in map(pq.read_metadata, paths):
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            columns = map(group.column, range(group.num_columns))
            if group.num_rows:
                found.append([c.statistics and c.statistics.to_dict() for c in columns])
    return found


@pytest.mark.parametrize("page_index", [False, True])
def test_predicates_read_only_the_row_groups_they_need(page_index, tmp_path):
    parts = write_parts(tmp_path, [table(0), table(1000)], write_page_index=page_index)
    join(parts, tmp_path / "joined.parquet")
    data = bytearray((tmp_path / "joined.parquet").read_bytes())
    first_part = slice(4, parts[0].stat().st_size // 2)
    data[first_part] = bytes(first_part.stop - 4)  # whoever reads these row groups fails
    (tmp_path / "joined.parquet").write_bytes(data)
    wanted = table(1990, 10)
    assert pq.read_table(tmp_path / "joined.parquet", filters=[("id", ">=", 1990)]).equals(wanted)
    read = pl.scan_parquet(tmp_path / "joined.parquet").filter(pl.col("id") >= 1990).collect()
    assert read.equals(pl.from_arrow(wanted))


def test_predicates_find_rows_of_every_part(joined):
    for wanted in (0, 299, 300, 999, 1000, 1001, 3500):
        found = pl.scan_parquet(joined).filter(pl.col("id") == wanted).select("id").collect()
        assert found["id"].to_list() == [wanted]


def test_bloom_filters_move_with_their_columns(tmp_path):
    parts = [tmp_path / "0.part", tmp_path / "1.part"]
    with duckdb.connect() as connection:
        for number, path in enumerate(parts):
            query = f"copy (select 'k' || (range % 50 + {number * 50}) as k from range(5000))"  # noqa: S608
            connection.execute(f"{query} to '{path}' (format parquet)")
        join(parts, tmp_path / "joined.parquet")
        assert moved_offsets(tmp_path / "joined.parquet", BLOOM_FILTER)
        probe = "select row_group_id, bloom_filter_excludes from parquet_bloom_probe(?, 'k', 'k77')"
        found = connection.execute(probe, [str(tmp_path / "joined.parquet")]).fetchall()
    assert dict(found) == {0: True, 1: False}


def test_page_indexes_are_left_out_because_their_positions_would_be_wrong(tmp_path, tables):
    parts = write_parts(tmp_path, tables, write_page_index=True)
    join(parts, tmp_path / "joined.parquet")
    column = pq.read_metadata(tmp_path / "joined.parquet").row_group(4).column(0)
    assert pq.read_metadata(parts[3]).row_group(0).column(0).has_offset_index
    assert not column.has_offset_index
    assert not column.has_column_index


# ---------------------------------------------------------------------------------------- the footer


def moved_offsets(path, field_id):
    chunks = [chunk for group in footer_tree(path).structs(4) for chunk in group.structs(1)]
    return [value for c in chunks if (value := c.require(3, Struct).find(field_id, int)) is not None]


def test_metadata_is_added_to_that_of_the_first_part(tmp_path):
    first = table(0).replace_schema_metadata({"origin": "first", "run": "of the part"})
    parts = write_parts(tmp_path, [first, first])
    join(
        parts,
        tmp_path / "joined.parquet",
        {"run": "run-7", "städte": "Zürich", "counts": '{"rows_in": 2000}'},
    )
    metadata = pq.read_metadata(tmp_path / "joined.parquet").metadata
    added = {b"origin": b"first", b"run": b"run-7", "städte".encode(): "Zürich".encode()}
    assert metadata.items() >= added.items()
    assert b"ARROW:schema" in metadata
    assert metadata == {k.encode(): v.encode() for k, v in read_footer_metadata(tmp_path / "joined.parquet").items()}


def test_row_groups_are_numbered_through(joined):
    assert ordinals_of(joined) == list(range(4 + 1 + 9))


@pytest.mark.parametrize(("groups", "ordinals"), [(1 << 15, 1 << 15), ((1 << 15) + 1, 0)])
def test_ordinals_are_given_to_all_row_groups_or_to_none(groups, ordinals):
    numbered = parquet_join._numbered([Struct(())] * groups)
    found = [ordinal for group in numbered if (ordinal := group.find(7, int)) is not None]
    assert found == list(range(ordinals))


def test_a_file_of_more_row_groups_than_ordinals_has_none(tmp_path, monkeypatch):
    parts = write_parts(tmp_path, [table(0, 50)], row_group_size=10)
    join(parts, tmp_path / "numbered.part")
    monkeypatch.setattr(parquet_join, "_MAX_ORDINALS", 9)
    join([tmp_path / "numbered.part", *parts], tmp_path / "joined.parquet")
    assert ordinals_of(tmp_path / "numbered.part") == [0, 1, 2, 3, 4]
    assert ordinals_of(tmp_path / "joined.parquet") == [None] * 10
    assert pq.read_table(tmp_path / "joined.parquet").equals(expected([table(0, 50)] * 2))


def ordinals_of(path):
    return [group.find(7, int) for group in footer_tree(path).structs(4)]


def test_positions_of_the_first_part_stay_and_those_of_the_next_move(part, tmp_path):
    body = part.stat().st_size - 12 - int.from_bytes(part.read_bytes()[-8:-4], "little")
    join([part, part], tmp_path / "joined.parquet")
    for field_id in (DATA_PAGE, DICTIONARY_PAGE):
        here, there = (moved_offsets(path, field_id) for path in (part, tmp_path / "joined.parquet"))
        assert there == [*here, *(offset + body for offset in here)]
    starts = [group.require(5, int) for group in footer_tree(tmp_path / "joined.parquet").structs(4)]
    assert starts == [group.require(5, int) + n * body for n in (0, 1) for group in footer_tree(part).structs(4)]


@pytest.mark.parametrize("field_id", [INDEX_PAGE, DICTIONARY_PAGE, BLOOM_FILTER])
def test_a_position_of_zero_means_absent_and_stays(field_id, tmp_path):
    part = write_parts(tmp_path, [table(0)], use_dictionary=False)[0]
    with_footer(part, with_column_field(footer_tree(part), Field(field_id, thrift.I64, 0)))
    join([part, part], tmp_path / "joined.parquet")
    assert set(moved_offsets(tmp_path / "joined.parquet", field_id)) == {0}


def test_copies_of_column_metadata_among_the_pages_are_not_referred_to(tmp_path):
    pl.DataFrame({"a": [1, 2]}).write_parquet(tmp_path / "0.part")
    assert pq.read_metadata(tmp_path / "0.part").row_group(0).column(0).file_offset > 0
    join([tmp_path / "0.part"] * 2, tmp_path / "joined.parquet")
    metadata = pq.read_metadata(tmp_path / "joined.parquet")
    assert [metadata.row_group(n).column(0).file_offset for n in (0, 1)] == [0, 0]


def test_the_writer_is_kept_where_all_parts_have_the_same(part, tmp_path):
    join([part, part], tmp_path / "joined.parquet")
    assert footer_tree(tmp_path / "joined.parquet").find(6, bytes) == footer_tree(part).find(6, bytes)


def test_no_writer_is_named_where_the_parts_differ(part, tmp_path):
    other = tmp_path / "other.part"
    other.write_bytes(part.read_bytes())
    with_footer(other, with_field(footer_tree(part), Field(6, thrift.BINARY, b"Another version 1.0")))
    join([part, other], tmp_path / "joined.parquet")
    assert footer_tree(tmp_path / "joined.parquet").find(6, bytes) is None
    assert pq.read_table(tmp_path / "joined.parquet").equals(expected([table(0), table(0)]))
    assert pl.read_parquet(tmp_path / "joined.parquet").height == 2 * ROWS


def test_fields_of_later_formats_are_left_out_where_they_could_hold_positions(part, tmp_path):
    later = Field(32767, thrift.BINARY, b"a footer of the future")
    tree = with_column_field(with_field(footer_tree(part), later), later)
    with_footer(part, with_chunks(tree, lambda chunk: with_field(chunk, later)))
    join([part], tmp_path / "joined.parquet")
    assert b"a footer of the future" not in (tmp_path / "joined.parquet").read_bytes()
    assert pq.read_table(tmp_path / "joined.parquet").equals(table(0))


# --------------------------------------------------------------------------------------- the receipt


def test_the_receipt_describes_the_file(tmp_path, tables):
    receipt = join(write_parts(tmp_path, tables), tmp_path / "joined.parquet")
    data = (tmp_path / "joined.parquet").read_bytes()
    assert receipt == JoinReceipt(rows=3501, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def test_the_same_parts_give_the_same_bytes(tmp_path, tables):
    parts = write_parts(tmp_path, tables)
    receipts = {join(parts, tmp_path / name, {"run": "7"}) for name in ("a.parquet", "b.parquet")}
    assert len(receipts) == 1


class Dribble(io.RawIOBase):
    """Takes at most 1000 bytes at a time, as an unbuffered file may."""

    def __init__(self):
        super().__init__()
        self.taken = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.taken += data[:1000]
        return min(len(data), 1000)


def test_a_target_that_takes_a_little_at_a_time_gets_everything(part):
    target = Dribble()
    receipt = join_parts([part], target, dict)
    assert hashlib.sha256(target.taken).hexdigest() == receipt.sha256
    assert pq.read_table(io.BytesIO(target.taken)).equals(table(0))


def test_memory_does_not_grow_with_the_parts(tmp_path):
    noise = pa.table({"a": np.random.default_rng(7).random(5_000_000)})
    parts = write_parts(tmp_path, [noise], row_group_size=5_000_000, compression="none", use_dictionary=False)
    assert parts[0].stat().st_size > 40_000_000
    tracemalloc.start()
    try:
        join(parts, tmp_path / "joined.parquet")
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------------------------------- parts it refuses


def refused(paths, tmp_path, message):
    with pytest.raises(ValueError, match=message) as caught:
        join(paths, tmp_path / "refused.parquet")
    assert str(caught.value).startswith(f"{paths[-1]}: ")


@pytest.mark.parametrize(
    "other",
    [
        table(0).drop_columns("id"),
        table(0).rename_columns(["key", *table(0).column_names[1:]]),
        table(0).set_column(0, "id", pa.array(range(ROWS), pa.int32())),
        table(0).select(table(0).column_names[::-1]),
    ],
    ids=["missing", "renamed", "type", "order"],
)
def test_another_schema_is_refused(other, tmp_path):
    refused(write_parts(tmp_path, [table(0), other]), tmp_path, "its schema differs from that of .*000.part")


def test_another_arrow_schema_is_refused(tmp_path):
    plain, large = (pa.table({"a": pa.array(["x"], kind)}) for kind in (pa.string(), pa.large_string()))
    refused(write_parts(tmp_path, [plain, large]), tmp_path, "its ARROW:schema metadata differs from that of")


def test_another_column_order_is_refused(part, tmp_path):
    other = tmp_path / "other.part"
    other.write_bytes(part.read_bytes())
    with_footer(other, without_field(footer_tree(part), 7))
    refused([part, other], tmp_path, "its column order differs from that of")


def test_columns_in_other_files_are_refused(part, tmp_path):
    moved = Field(1, thrift.BINARY, b"elsewhere.parquet")
    with_footer(part, with_chunks(footer_tree(part), lambda chunk: with_field(chunk, moved)))
    refused([part], tmp_path, "keeps columns in other files")


def test_encrypted_columns_are_refused(part, tmp_path):
    secret = Field(8, thrift.STRUCT, Struct(()))
    with_footer(part, with_chunks(footer_tree(part), lambda chunk: with_field(chunk, secret)))
    refused([part], tmp_path, "has encrypted columns")


def test_an_encrypted_file_with_a_readable_footer_is_refused(part, tmp_path):
    with_footer(part, with_field(footer_tree(part), Field(8, thrift.STRUCT, Struct(()))))
    refused([part], tmp_path, "has encrypted columns")


def test_an_encrypted_footer_is_refused(part, tmp_path):
    part.write_bytes(b"PARE" + part.read_bytes()[4:-4] + b"PARE")
    refused([part], tmp_path, "is an encrypted Parquet file")


@pytest.mark.parametrize("field", [Field(DATA_PAGE, thrift.I64, 1 << 40), Field(DICTIONARY_PAGE, thrift.I64, -5)])
def test_positions_outside_of_the_row_groups_are_refused(field, part, tmp_path):
    with_footer(part, with_column_field(footer_tree(part), field))
    refused([part], tmp_path, "outside of its row groups")


def test_rows_that_do_not_add_up_are_refused(part, tmp_path):
    with_footer(part, with_field(footer_tree(part), Field(3, thrift.I64, ROWS + 1)))
    refused([part], tmp_path, "hold 1000 rows, its footer says 1001")


@pytest.mark.parametrize("field_id", [2, 4])
def test_a_footer_without_schema_or_row_groups_is_refused(field_id, part, tmp_path):
    with_footer(part, without_field(footer_tree(part), field_id))
    refused([part], tmp_path, f"field {field_id} is missing")


def test_bytes_after_the_footer_are_refused(part, tmp_path):
    data = part.read_bytes()
    length = int.from_bytes(data[-8:-4], "little") + 3
    part.write_bytes(data[:-8] + b"abc" + length.to_bytes(4, "little") + b"PAR1")
    refused([part], tmp_path, "3 bytes follow its end")


NO_PARQUET = {
    "empty": (b"", "it has 0 bytes"),
    "short": (b"PAR1PAR1", "it has 8 bytes"),
    "text": (b"trip_id,predicted_duration\n", "is no Parquet file: it starts with b'trip'"),
    "footer too long": (
        b"PAR1" + b"\xff\xff\xff\xff" + b"PAR1",
        "a footer of 4294967295 bytes in a file of 12",
    ),
    "no footer": (b"PAR1" + bytes(4) + b"PAR1", "has a damaged footer: cut off after 0 bytes"),
    "garbage footer": (b"PAR1" + b"\xff" * 20 + b"\x14\0\0\0" + b"PAR1", "has a damaged footer"),
}


@pytest.mark.parametrize(("data", "message"), NO_PARQUET.values(), ids=NO_PARQUET)
@pytest.mark.parametrize("read", [read_footer, read_footer_metadata], ids=lambda f: f.__name__)
def test_what_is_no_parquet_file_is_refused_by_name(data, message, read, part, tmp_path):
    bad = tmp_path / "bad.part"
    bad.write_bytes(data)
    refused([part, bad], tmp_path, message)
    with pytest.raises(ValueError, match=message):
        read(bad)


def test_a_part_cut_off_anywhere_is_refused(part, tmp_path):
    data = part.read_bytes()
    cut = tmp_path / "cut.part"
    for length in {*range(0, len(data), 499), *range(len(data) - 20, len(data))}:
        cut.write_bytes(data[:length])
        refused([cut], tmp_path, "cut off")
        with cut.open("rb") as handle, pytest.raises(ValueError, match="cut off"):
            footer_digest(handle)


def test_a_part_that_shrinks_while_it_is_copied_is_noticed():
    output = HashedOutput(io.BytesIO())
    with pytest.raises(ValueError, match="was cut off at byte 50 while it was copied"):
        output.copy(io.BytesIO(bytes(50)), 4, 60)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=5))
def test_a_damaged_footer_gives_a_file_or_a_value_error(changes, part, tmp_path):
    data = bytearray(part.read_bytes())
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for where, byte in changes:
        data[start + int(where * (len(data) - start))] = byte
    (tmp_path / "damaged.part").write_bytes(data)
    try:
        receipt = join_parts([tmp_path / "damaged.part", part], io.BytesIO(), dict)
    except ValueError:
        return
    assert receipt.rows >= ROWS


def test_a_missing_part_is_reported_as_missing(part, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.part"):
        join([part, tmp_path / "nowhere.part"], tmp_path / "joined.parquet")


# ---------------------------------------------------------------------------------- reading a footer


def test_a_footer_tells_rows_and_metadata(part):
    footer = read_footer(part)
    assert footer.rows == ROWS
    assert footer.metadata == {k.decode(): v.decode() for k, v in pq.read_metadata(part).metadata.items()}


def test_a_file_without_metadata_has_none(tmp_path):
    part = write_parts(tmp_path, [table(0)], store_schema=False)[0]
    assert read_footer_metadata(part) == {}


def test_metadata_without_a_value_or_not_in_utf8_is_still_read(part):
    pairs = [
        (Field(1, thrift.BINARY, b"bare"),),
        (Field(1, thrift.BINARY, b"raw"), Field(2, thrift.BINARY, b"\xff")),
    ]
    metadata = Field(5, thrift.LIST, struct_list(map(Struct, pairs)))
    with_footer(part, with_field(footer_tree(part), metadata))
    assert read_footer_metadata(part) == {"bare": "", "raw": "\\xff"}


def test_the_digest_is_that_of_the_footer_bytes(part):
    data = part.read_bytes()
    footer = data[-8 - int.from_bytes(data[-8:-4], "little") : -8]
    with part.open("rb") as handle:
        assert footer_digest(handle) == read_footer(part).digest == hashlib.sha256(footer).hexdigest()


def test_an_open_handle_keeps_its_position(part):
    with part.open("rb") as handle:
        handle.seek(5)
        assert read_footer_metadata(handle) == read_footer_metadata(part)
        assert footer_digest(handle)
        assert handle.tell() == 5


def test_an_open_handle_is_named_in_errors(tmp_path):
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"no Parquet at all")
    with bad.open("rb") as handle, pytest.raises(ValueError, match=r"bad.parquet: is no Parquet file"):
        footer_digest(handle)
    with pytest.raises(ValueError, match="the open file: is no Parquet file"):
        footer_digest(io.BytesIO(b"no Parquet at all"))


# ------------------------------------------------------------------------------------------ start-up


@pytest.mark.parametrize("module", [parquet_join, thrift], ids=lambda module: module.__name__)
def test_only_the_standard_library_is_imported(module):
    imported = set()
    for node in ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    ours = {name for name in imported if name.startswith("scoreline.formats")}
    assert {name.partition(".")[0] for name in imported - ours} <= sys.stdlib_module_names
