import io
import tracemalloc

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoreline.formats import thrift_compact as thrift
from scoreline.formats.thrift_compact import Encoded, Field, Mapping, Sequence, Struct, decode, encode


def one_field(kind, value):
    return Struct((Field(1, kind, value),))


def footer_of(data):
    length = int.from_bytes(data[-8:-4], "little")
    return data[-8 - length : -8]


def pyarrow_footer(**options):
    file = io.BytesIO()
    table = pa.table({"id": [1, None, 3], "name": ["a", "b", None], "tags": [["x"], [], None], "day": [1.5, 2.5, -0.0]})
    pq.write_table(table, file, row_group_size=2, **options)
    return footer_of(file.getvalue())


def polars_footer():
    file = io.BytesIO()
    frame = pl.DataFrame({f"c{i}": [i, None, -i] for i in range(40)})  # more than a short list holds
    frame.write_parquet(file, row_group_size=1)
    return footer_of(file.getvalue())


FOOTERS = {
    "pyarrow": pyarrow_footer(),
    "pyarrow-page-index": pyarrow_footer(write_page_index=True, data_page_version="2.0"),
    "pyarrow-sorted": pyarrow_footer(sorting_columns=[pq.SortingColumn(0, descending=True)]),
    "polars": polars_footer(),
}

# ---------------------------------------------------------------- bytes known from the specification

SPECIFIED = {
    "empty struct": ("00", Struct(())),
    "i32 one": ("15 02 00", one_field(thrift.I32, 1)),
    "i64 minus one": ("16 01 00", one_field(thrift.I64, -1)),
    "i8 minus one": ("13 ff 00", one_field(thrift.I8, -1)),
    "varint of two bytes": ("14 ac 02 00", one_field(thrift.I16, 150)),
    "true": ("11 00", one_field(thrift.BOOL, True)),
    "false": ("12 00", one_field(thrift.BOOL, False)),
    "text": ("18 02 68 69 00", one_field(thrift.BINARY, b"hi")),
    "double": ("17 00 00 00 00 00 00 f0 3f 00", one_field(thrift.DOUBLE, bytes.fromhex("000000000000f03f"))),
    "uuid": ("1d" + "07" * 16 + "00", one_field(thrift.UUID, b"\x07" * 16)),
    "short list": ("19 25 02 04 00", one_field(thrift.LIST, Sequence(thrift.I32, (1, 2)))),
    "long list": ("19 f3 0f" + "01" * 15 + "00", one_field(thrift.LIST, Sequence(thrift.I8, (1,) * 15))),
    "set": ("1a 15 02 00", one_field(thrift.SET, Sequence(thrift.I32, (1,)))),
    "empty map": ("1b 00 00", one_field(thrift.MAP, Mapping(0, 0, ()))),
    "map": ("1b 01 85 01 61 02 00", one_field(thrift.MAP, Mapping(thrift.BINARY, thrift.I32, ((b"a", 1),)))),
    "nested struct": ("1c 15 02 00 00", one_field(thrift.STRUCT, one_field(thrift.I32, 1))),
    "field id far away": ("05 80 01 02 00", Struct((Field(64, thrift.I32, 1),))),
    "field id going back": ("35 02 05 02 02 00", Struct((Field(3, thrift.I32, 1), Field(1, thrift.I32, 1)))),
}


@pytest.mark.parametrize(("data", "tree"), SPECIFIED.values(), ids=SPECIFIED)
def test_specified_bytes_are_read_and_written(data, tree):
    data = bytes.fromhex(data)
    assert decode(data) == (tree, len(data))
    assert encode(tree) == data


@pytest.mark.parametrize("element_type", [thrift.TRUE, thrift.BOOL])
def test_booleans_in_lists_keep_the_bytes_of_their_writer(element_type):
    data = bytes([0x19, 0x30 | element_type, 0, 1, 2, 0])
    assert encode(decode(data)[0]) == data


def test_bytes_after_the_struct_are_left_alone():
    assert decode(b"\x15\x02\x00rest") == (one_field(thrift.I32, 1), 3)


def test_an_encoded_value_is_written_as_it_is():
    assert encode(one_field(thrift.STRUCT, Encoded(b"\x15\x02\x00"))) == bytes.fromhex("1c15020000")


# --------------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("footer", FOOTERS.values(), ids=FOOTERS)
def test_opaque_fields_are_the_same_fields_unopened(footer):
    whole, length = decode(footer)
    tree, opaque_length = decode(footer, opaque=frozenset(range(20)))
    assert opaque_length == length
    assert all(type(field.value) in (Encoded, bool) for field in tree.fields)
    assert encode(tree) == footer
    assert list(tree.structs(4)) == list(whole.structs(4))


def test_an_opaque_field_of_another_kind_is_no_list_of_structs():
    for opened in TREE.fields[:1], TREE.fields[2:3]:
        tree, _ = decode(encode(Struct(opened)), opaque=frozenset((1, 3)))
        with pytest.raises(ValueError, match=r"not a list of structs|a list of something other than structs"):
            list(tree.structs(opened[0].id))


@pytest.mark.parametrize("footer", FOOTERS.values(), ids=FOOTERS)
def test_footers_survive_byte_for_byte(footer):
    tree, length = decode(footer)
    assert length == len(footer)
    assert encode(tree) == footer


def integers(bits):
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)


LEAVES = {
    thrift.BOOL: integers(8),
    thrift.I8: integers(8),
    thrift.I16: integers(16),
    thrift.I32: integers(32),
    thrift.I64: integers(64),
    thrift.DOUBLE: st.binary(min_size=8, max_size=8),
    thrift.UUID: st.binary(min_size=16, max_size=16),
    thrift.BINARY: st.binary(max_size=200),
}
KINDS = st.sampled_from([*LEAVES, thrift.LIST, thrift.SET, thrift.MAP, thrift.STRUCT])


@st.composite
def values(draw, kind, depth):
    if kind in LEAVES:
        return draw(LEAVES[kind])
    if kind == thrift.STRUCT:
        return draw(structs(depth + 1))
    inner = draw(KINDS if depth < 3 else st.sampled_from([*LEAVES]))
    if kind == thrift.MAP:
        pairs = draw(st.lists(st.tuples(values(thrift.BINARY, depth + 1), values(inner, depth + 1)), max_size=3))
        return Mapping(thrift.BINARY, inner, tuple(pairs)) if pairs else Mapping(0, 0, ())
    return Sequence(inner, tuple(draw(st.lists(values(inner, depth + 1), max_size=20 if depth < 2 else 3))))


@st.composite
def structs(draw, depth=0):
    fields = []
    for field_id in draw(st.lists(integers(16), max_size=4, unique=True)):
        kind = draw(KINDS if depth < 3 else st.sampled_from([*LEAVES]))
        value = draw(st.booleans()) if kind == thrift.BOOL else draw(values(kind, depth))
        fields.append(Field(field_id, kind, value))
    return Struct(tuple(fields))


@given(structs())
def test_any_tree_is_read_as_it_was_written(tree):
    data = encode(tree)
    assert decode(data) == (tree, len(data))


# ----------------------------------------------------------------------------------- malformed input


@given(st.binary(max_size=300), st.sampled_from([frozenset(), frozenset(range(16))]))
def test_any_bytes_are_a_tree_or_a_value_error(data, opaque):
    try:
        tree, length = decode(data, opaque)
    except ValueError:
        return
    assert length <= len(data)
    assert decode(encode(tree), opaque)[0] == tree


@given(st.sampled_from(sorted(FOOTERS)), st.data())
def test_a_damaged_footer_is_a_tree_or_a_value_error(name, data):
    footer = bytearray(FOOTERS[name])
    for _ in range(data.draw(st.integers(1, 4))):
        footer[data.draw(st.integers(0, len(footer) - 1))] = data.draw(st.integers(0, 255))
    try:
        tree, _ = decode(bytes(footer))
    except ValueError:
        return
    assert decode(encode(tree))[0] == tree


def test_a_footer_cut_off_anywhere_is_a_value_error():
    footer = FOOTERS["pyarrow"]
    for length in range(len(footer)):
        with pytest.raises(ValueError, match=r"cut off|more than there are bytes"):
            decode(footer[:length])


NESTED = {
    "structs": b"\x1c" * 100_000,
    "lists": b"\x19" * 100_000,
    "maps": b"\x1b" + b"\x01\xbb" * 100_000,
}


@pytest.mark.parametrize("data", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("opaque", [frozenset(), frozenset((1,))], ids=["built", "opaque"])
def test_endless_nesting_is_a_value_error(data, opaque):
    with pytest.raises(ValueError, match="nested deeper than 32"):
        decode(data, opaque)


MALFORMED = {
    "nothing": ("", "cut off after 0 bytes"),
    "unknown type": ("1e 00", "unknown type 14"),
    "list of unknown type": ("19 1e 00 00", "unknown type 14"),
    "text longer than the data": ("18 ff ff ff ff 0f 00", "4294967295 values announced"),
    "list longer than the data": ("19 f5 ff ff ff ff 0f 00", "4294967295 values announced"),
    "map longer than the data": ("1b ff ff ff ff 0f 55 00", "8589934590 values announced"),
    "integer without an end": ("16" + "ff" * 40, "has no end"),
    "integer too wide": ("15 ff ff ff ff 7f 00", "wider than 32 bits"),
    "field id too wide": ("05 ff ff ff 7f 02 00", "wider than 16 bits"),
}


@pytest.mark.parametrize(("data", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_bytes_are_a_value_error_that_says_why(data, message):
    with pytest.raises(ValueError, match=message):
        decode(bytes.fromhex(data))


def test_an_announced_size_allocates_nothing():
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="announced"):
            decode(bytes.fromhex("19f5ffffffff0700") + bytes(1000))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


UNWRITABLE = {
    "i8": one_field(thrift.I8, 128),
    "i16": one_field(thrift.I16, 1 << 15),
    "i32": one_field(thrift.I32, -(1 << 31) - 1),
    "i64": one_field(thrift.I64, 1 << 63),
    "double": one_field(thrift.DOUBLE, b"seven b"),
    "integer as text": one_field(thrift.BINARY, 5),
    "text as integer": one_field(thrift.I32, b"five"),
    "field id": Struct((Field(1 << 15, thrift.I32, 1),)),
}


@pytest.mark.parametrize("tree", UNWRITABLE.values(), ids=UNWRITABLE)
def test_a_value_that_does_not_fit_its_type_is_not_written(tree):
    with pytest.raises(ValueError, match=r"does not fit|no value of type"):
        encode(tree)


# --------------------------------------------------------------------------------- asking for fields

TREE = Struct(
    (
        Field(1, thrift.I32, 7),
        Field(2, thrift.LIST, Sequence(thrift.STRUCT, (Struct(()), one_field(thrift.I32, 1)))),
        Field(3, thrift.LIST, Sequence(thrift.I32, (1,))),
        Field(4, thrift.BOOL, True),
    )
)


def test_a_field_is_found_by_its_id():
    assert TREE.find(1, int) == 7
    assert TREE.require(1, int) == 7
    assert tuple(TREE.structs(2)) == (Struct(()), one_field(thrift.I32, 1))


def test_an_absent_field_is_none_empty_or_an_error():
    assert TREE.find(9, int) is None
    assert list(TREE.structs(9)) == []
    with pytest.raises(ValueError, match="field 9 is missing"):
        TREE.require(9, int)


@pytest.mark.parametrize(("field_id", "kind"), [(1, bytes), (4, int), (2, Struct)])
def test_a_field_of_another_type_is_a_value_error(field_id, kind):
    with pytest.raises(ValueError, match=f"field {field_id} is of an unexpected type"):
        TREE.find(field_id, kind)


def test_a_list_of_other_things_is_no_list_of_structs():
    with pytest.raises(ValueError, match="field 3 is not a list of structs"):
        list(TREE.structs(3))
