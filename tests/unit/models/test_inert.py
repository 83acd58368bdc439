"""The stack machine says what a pickle would make, does none of it, and gives up on whatever it does not follow."""

import os
import pickle
import pickletools

import pytest

from scoreline.models.inert import RESULT, Name, Thing, Unreadable, run

VALUES = [
    *(None, True, False, 0, 1, 255, 256, 65_536, -1, 1 << 40, -(1 << 80), 1.5, float("inf")),
    *("", "text", "ä€😀", "\n\\", "x" * 300, b"", b"abc", b"x" * 300, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    *([], [1, [2, [3]]], {}, {"a": 1, 2: [3]}, {"deep": {"er": ({},)}}, list(range(3_000))),
]


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:30])
def test_plain_values_are_read_as_pickle_reads_them(value, protocol):
    assert run(pickle.dumps(value, protocol), set()) == value


@pytest.mark.parametrize("protocol", [0, 1, 2])
@pytest.mark.parametrize("value", [one for one in VALUES if not isinstance(one, bytes)], ids=lambda one: repr(one)[:30])
def test_plain_values_of_old_protocols_too(value, protocol):
    assert run(pickle.dumps(value, protocol), set()) == value


def test_what_is_shared_stays_one():
    shared = ["once"]
    first, second = run(pickle.dumps([shared, shared]), set())
    assert first is second


class Calling:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_a_call_is_written_down_and_not_made(tmp_path, protocol):
    names = set()
    made = run(pickle.dumps([Calling(os.system, f"touch {tmp_path}/mark")], protocol), names)
    assert isinstance(made[0], Thing)
    assert made[0].callee == Name("posix", "system")
    assert names == {Name("posix", "system")}
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("content", [b"cposix\nsystem\n)R)R.", b"Vx\n)R.", b"Vx\n)}\x92."])
def test_a_call_of_what_the_pickle_made_itself_is_written_down_as_such(content):
    names = set()
    assert run(content, names).callee == RESULT
    assert RESULT in names


def test_sets_are_read_as_lists_and_tuples():
    assert run(pickle.dumps([{1}, frozenset([2])], 4), set()) == [[1], (2,)]


def test_names_are_told_although_the_pickle_turns_out_unreadable():
    names = set()
    with pytest.raises(Unreadable):
        run(b"cposix\nsystem\n\xff", names)
    assert names == {Name("posix", "system")}


REFUSED = {
    "a persistent id": b"Pid\n.",
    "a persistent id on the stack": b"NQ.",
    "an extension": b"\x82\x01.",
    "an extension of two bytes": b"\x83\x01\x00.",
    "an extension of four bytes": b"\x84\x01\x00\x00\x00.",
    "an old instance": b"(iposix\nsystem\n.",
    "an old object": b"(cposix\nsystem\no.",
    "a buffer elsewhere": b"\x97.",
    "a duplicate": b"N2.",
    "a dropped value": b"NN0.",
    "a call without a tuple": b"cposix\nsystem\n]R.",
    "a state of a list": b"]}b.",
    "a state of a name": b"cposix\nsystem\n}b.",
    "a second state": b"cposix\nsystem\n)R}b}b.",
    "a name made of numbers": b"K\x01K\x02\x93.",
    "items for a thing": b"cposix\nsystem\n)RK\x01K\x02s.",
    "an item for a thing": b"cposix\nsystem\n)RK\x01a.",
    "a list as a key": b"}]K\x01s.",
    "a tuple in a tuple as a key": b"})\x85K\x01s.",
    "half an item": b"}(K\x01u.",
    "no end": b"N",
    "nothing": b"",
    "an empty stack": b".",
    "no mark": b"t.",
    "an unknown instruction": b"\xfe.",
    "a place without a value": b"g7\n.",
    "a text that goes on for 4 GB": b"X\xff\xff\xff\xffabc.",
    "bytes that go on for exabytes": b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    "a negative length": b"\x8b\xff\xff\xff\xffabc.",
    "a number of 10,000 digits": b"I" + b"9" * 10_000 + b"\n.",
    "bytes that are no text": b"\x8c\x02\xff\xfe.",
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_what_no_pickle_of_values_needs_is_refused(content):
    with pytest.raises(Unreadable):
        run(content, set())


def test_a_huge_place_in_the_memo_takes_no_memory():
    assert run(b"Nr\xff\xff\xff\xffj\xff\xff\xff\xff.", set()) is None


def test_a_value_of_a_million_levels_is_read_and_forgotten():
    depth = 1_000_000
    deep = run(b"]" * depth + b"a" * (depth - 1) + b".", set())
    assert len(deep) == 1
    nested = run(b")" + b"\x85" * depth + b".", set())
    assert len(nested) == 1


def test_lists_that_double_themselves_take_no_memory():
    doubling = b"]q\x00" + b"".join(b"](h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) for n in range(60))
    top = run(doubling + b".", set())
    assert top[0] is top[1]


def test_every_instruction_has_an_answer():
    for opcode in pickletools.opcodes:
        try:
            run(opcode.code.encode("latin1") + b".", set())
        except Unreadable:
            continue
