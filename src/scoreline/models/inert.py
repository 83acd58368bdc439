"""Inert: what a pickle says, read without doing any of it.

A pickle is a program for a small stack machine. This machine runs it with nothing but plain values: a class or function
is its name (`Name`), a call is written down (`Thing`) and never made, and nothing is imported. A restricted
``pickle.Unpickler`` was no choice: its BUILD sets attributes on whatever lies on the stack, LONG_BINPUT takes memory at
the pickle's word, and extension codes pass by ``find_class``.

It follows what Python's picklers write for objects, texts, numbers, lists, sets and dictionaries, and gives up on the
rest. It must not know what any name means.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class Unreadable(Exception):
    """The bytes are no pickle, or hold an instruction that this machine does not follow."""


@dataclass(frozen=True, slots=True)
class Name:
    """A class or function that the pickle names; nothing was imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False)
class Thing:
    """A call that was not made, and the state that its result would be given.

    Attributes:
        callee: what would be called.
        arguments: with what.
        state: what BUILD would hand over, None where nothing was.
    """

    callee: Name
    arguments: tuple[Any, ...]
    state: Any = None


RESULT = Name("(what another call gives)", "()")
"""Stands where a pickle calls no class or function by its name, but what it has made itself."""

Take = Callable[[int], bytes]
"""Gives the next so many bytes of the pickle, and goes on behind them."""

Built = Callable[[Thing, Take], Any]
"""Called when a thing has got its state: what is to lie on the stack. It may take bytes that follow."""


def as_it_is(thing: Thing, take: Take) -> Thing:
    """Nothing follows but instructions."""
    del take
    return thing


def run(content: bytes, names: set[Name], built: Built = as_it_is) -> Any:
    """What a pickle would make, as plain values and things.

    Args:
        content: the pickle; what lies behind its end is not looked at, as unpicklers do.
        names: gets every name that the pickle holds, also when it turns out unreadable.
        built: hears of each thing with its state.

    Raises:
        Unreadable: it ends early, or needs what no plain pickle of values needs.
    """
    machine = _Machine(content, io.BytesIO(content), names, built)
    try:
        while (code := content[machine.at]) != _STOP:
            machine.at += 1
            _STEPS[code](machine)
        return machine.stack.pop()
    # What damaged instructions raise; nothing of it comes from code of the pickle, which has none here.
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error


@dataclass(slots=True)
class _Machine:
    content: bytes
    stream: io.BytesIO
    names: set[Name]
    built: Built
    at: int = 0
    stack: list[Any] = field(default_factory=list)
    below: list[list[Any]] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def take(self, count: int) -> bytes:
        """See `Take`."""
        end = self.at + count
        if end > len(self.content):
            raise IndexError("it ends early")
        taken, self.at = self.content[self.at : end], end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def line(self) -> str:
        end = self.content.index(b"\n", self.at)
        return self.take(end + 1 - self.at)[:-1].decode("utf-8")

    def carried(self, reader: Callable[[io.BytesIO], Any]) -> Any:
        """An instruction's argument, decoded by the standard library."""
        self.stream.seek(self.at)
        value = reader(self.stream)
        self.at = self.stream.tell()
        return value

    def taken(self, count: int) -> list[Any]:
        """The topmost values, off the stack, in the order in which they came."""
        start = len(self.stack) - count
        if start < 0:
            raise IndexError("the stack is empty")
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def marked(self) -> list[Any]:
        """All values since the last mark, off the stack."""
        values, self.stack = self.stack, self.below.pop()
        return values

    def extend(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise TypeError("only lists grow")
        self.stack[-1].extend(values)

    def fill(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not dict:
            raise TypeError("only dictionaries are filled")
        keys = values[::2]
        # No deep tuple as a key: its hash would recurse as deep as the pickle likes.
        plain = [part for key in keys for part in (key if type(key) is tuple else (key,))]
        if not {type(part) for part in plain} <= _KEYS:
            raise TypeError("a key is no plain value")
        self.stack[-1].update(zip(keys, values[1::2], strict=True))

    def name(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise TypeError("a name is made of two texts")
        found = Name(module, name)
        self.names.add(found)
        self.stack.append(found)


_STOP = ord(".")
_KEYS = {str, int, float, bool, bytes, type(None)}

Step = Callable[[_Machine], None]


# --- what a vocabulary is made of, by the hundred thousand: decoded here, since pickletools takes three times as long


def _short_text(machine: _Machine) -> None:
    machine.stack.append(machine.take(machine.number(1)).decode("utf-8", "surrogatepass"))


def _text(machine: _Machine) -> None:
    machine.stack.append(machine.take(machine.number(4)).decode("utf-8", "surrogatepass"))


def _byte(machine: _Machine) -> None:
    machine.stack.append(machine.content[machine.at])
    machine.at += 1


def _two_bytes(machine: _Machine) -> None:
    machine.stack.append(machine.number(2))


def _memoize(machine: _Machine) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _put(size: int) -> Step:
    def step(machine: _Machine) -> None:
        # A dictionary: the place is the pickle's to choose, and reserves nothing.
        machine.memo[machine.number(size)] = machine.stack[-1]

    return step


def _get(size: int) -> Step:
    def step(machine: _Machine) -> None:
        machine.stack.append(machine.memo[machine.number(size)])

    return step


# --- everything else


def _mark(machine: _Machine) -> None:
    machine.below.append(machine.stack)
    machine.stack = []


def _name(machine: _Machine) -> None:
    machine.name(machine.line(), machine.line())


def _stacked_name(machine: _Machine) -> None:
    machine.name(*machine.taken(2))


def _call(machine: _Machine) -> None:
    callee, arguments = machine.taken(2)
    if type(arguments) is not tuple:
        raise TypeError("a call needs its arguments")
    if not isinstance(callee, Name):
        callee = RESULT
        machine.names.add(callee)
    machine.stack.append(Thing(callee, arguments))


def _call_with_names(machine: _Machine) -> None:
    callee, arguments, named = machine.taken(3)
    machine.stack += [callee, (arguments, named)]
    _call(machine)


def _build(machine: _Machine) -> None:
    thing, state = machine.taken(2)
    if not isinstance(thing, Thing) or thing.state is not None:
        raise Unreadable("it gives a state to what has none, or has one")
    thing.state = state
    machine.stack.append(machine.built(thing, machine.take))


def _tuple_of(count: int) -> Step:
    return lambda machine: machine.stack.append(tuple(machine.taken(count)))


def _tuple(machine: _Machine) -> None:
    values = machine.marked()  # first: it changes which list is the stack
    machine.stack.append(tuple(values))


def _list(machine: _Machine) -> None:
    values = machine.marked()
    machine.stack.append(values)


def _dict(machine: _Machine) -> None:
    values = machine.marked()
    machine.stack.append({})
    machine.fill(values)


def _constant(value: object) -> Step:
    return lambda machine: machine.stack.append(value)


_ACTS: dict[str, Step] = {
    "SHORT_BINUNICODE": _short_text,
    "BINUNICODE": _text,
    "BININT1": _byte,
    "BININT2": _two_bytes,
    "MEMOIZE": _memoize,
    "BINPUT": _put(1),
    "LONG_BINPUT": _put(4),
    "BINGET": _get(1),
    "LONG_BINGET": _get(4),
    "MARK": _mark,
    "GLOBAL": _name,
    "STACK_GLOBAL": _stacked_name,
    "REDUCE": _call,
    "NEWOBJ": _call,
    "NEWOBJ_EX": _call_with_names,
    "BUILD": _build,
    "EMPTY_TUPLE": _tuple_of(0),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "TUPLE": _tuple,
    "EMPTY_LIST": lambda machine: machine.stack.append([]),
    "LIST": _list,
    "APPEND": lambda machine: machine.extend(machine.taken(1)),
    "APPENDS": lambda machine: machine.extend(machine.marked()),
    # Sets are read as lists and tuples: their values may have no plain hash.
    "EMPTY_SET": lambda machine: machine.stack.append([]),
    "ADDITEMS": lambda machine: machine.extend(machine.marked()),
    "FROZENSET": _tuple,
    "EMPTY_DICT": lambda machine: machine.stack.append({}),
    "DICT": _dict,
    "SETITEM": lambda machine: machine.fill(machine.taken(2)),
    "SETITEMS": lambda machine: machine.fill(machine.marked()),
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
}

_WITH_ARGUMENT: dict[str, Callable[[_Machine, Any], None]] = {
    "PUT": lambda machine, place: machine.memo.__setitem__(place, machine.stack[-1]),
    "GET": lambda machine, place: machine.stack.append(machine.memo[place]),
    "PROTO": lambda _, __: None,
    "FRAME": lambda _, __: None,
} | dict.fromkeys(
    (
        *("BINBYTES", "BINBYTES8", "SHORT_BINBYTES", "BYTEARRAY8", "BINUNICODE8", "UNICODE"),
        *("BINFLOAT", "FLOAT", "BININT", "INT", "LONG", "LONG1", "LONG4"),
    ),
    lambda machine, value: machine.stack.append(value),
)


def _step_of(opcode: pickletools.OpcodeInfo) -> Step:
    if opcode.name in _ACTS:
        return _ACTS[opcode.name]
    if opcode.name in _WITH_ARGUMENT:
        act, form = _WITH_ARGUMENT[opcode.name], opcode.arg
        assert form is not None
        reader = form.reader
        return lambda machine: act(machine, machine.carried(reader))

    def refuse(_: _Machine) -> None:
        raise Unreadable(f"it holds the instruction {opcode.name}, which no model of this kind needs")

    return refuse


_STEPS: dict[int, Step] = {ord(opcode.code): _step_of(opcode) for opcode in pickletools.opcodes}
