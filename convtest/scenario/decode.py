"""Nodes become the shapes of the grammar; everything wrong is collected, each with its place."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import msgspec
import msgspec.inspect as mi

from convtest.errors import Problem, did_you_mean
from convtest.scenario.grammar import MEANT, NOT_YET
from convtest.scenario.nodes import Mapping, Node, Scalar, Sequence, is_null, plain_value

_FAILED = object()


def decode(node: Node, shape: type[Any]) -> tuple[Any, list[Problem]]:
    """The shape that the node spells, and the problems found; the shape is None if there are any."""
    decoder = _Decoder()
    value = decoder.value(node, _type_info(shape))
    return (None if decoder.problems else value), decoder.problems


_type_info: Callable[[Any], mi.Type] = cache(mi.type_info)
"""msgspec would look at the whole grammar each time that it is asked."""


class _Decoder:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._decoders: dict[type[mi.Type], Callable[[Any, Any], Any]] = {
            mi.StructType: self._struct,
            mi.ListType: self._list,
            mi.DictType: self._dict,
            mi.LiteralType: self._literal,
            mi.StrType: self._text,
            mi.NoneType: lambda node, expected: None,
        }

    def value(self, node: Node, expected: mi.Type) -> Any:
        if isinstance(expected, mi.Metadata):
            return self.value(node, expected.type)
        if isinstance(expected, mi.AnyType):
            return plain_value(node)
        if isinstance(expected, mi.UnionType):
            return self._union(node, expected)
        decoder = self._decoder_for(expected)
        if not _fits(node, expected):
            return self._wrong(node, [expected])
        return decoder(node, expected)

    def _decoder_for(self, expected: mi.Type) -> Callable[[Any, Any], Any]:
        return self._decoders.get(type(expected), lambda node, expected: plain_value(node))

    def _union(self, node: Node, expected: mi.UnionType) -> Any:
        fitting = next((choice for choice in _in_turn(expected) if _fits(node, choice)), None)
        if fitting is None:
            return self._wrong(node, list(_choices(expected)))
        return self.value(node, fitting)

    def _struct(self, node: Mapping, expected: mi.StructType) -> Any:
        fields = _fields(expected)
        values: dict[str, Any] = {}
        for key, child in node.entries.items():
            field = fields.get(key)
            if field is None:
                self._unknown_key(node, key, child, list(fields))
            elif key in NOT_YET.get(expected.cls, ()):
                self.problems.append(Problem(f"{key!r} is not supported yet", node.keys[key], "remove it for now"))
            else:
                self._entry(values, field, child)
        for name, field in fields.items():
            if field.required and name not in node.entries:
                self.problems.append(Problem(f"{name!r} is missing", node.place))
                return _FAILED
        return _FAILED if self.problems else expected.cls(**values)

    def _entry(self, values: dict[str, Any], field: mi.Field, child: Node) -> None:
        if is_null(child) and not _accepts_any(field.type):
            self.problems.append(_empty(field.encode_name, child))
        else:
            values[field.name] = self.value(child, field.type)

    def _unknown_key(self, node: Mapping, key: str, child: Node, known: list[str]) -> None:
        place = node.keys[key]
        if node.flow and is_null(child):
            self.problems.append(
                Problem(
                    f"the comma before {key!r} ended the text",
                    place,
                    'inside {…} put quotes around text with a comma: {user: "Yes, it is"}',
                )
            )
        else:
            self.problems.append(Problem(f"unknown key {key!r}", place, did_you_mean(key, known)))

    def _list(self, node: Sequence, expected: mi.ListType) -> Any:
        return [self.value(item, expected.item_type) for item in node.items]

    def _dict(self, node: Mapping, expected: mi.DictType) -> Any:
        return {key: self.value(child, expected.value_type) for key, child in node.entries.items()}

    def _literal(self, node: Scalar, expected: mi.LiteralType) -> Any:
        if node.text in expected.values:
            return node.text
        known = [str(value) for value in expected.values]
        self.problems.append(
            Problem(f"{node.text!r} is not one of the words that fit here", node.place, did_you_mean(node.text, known))
        )
        return _FAILED

    def _text(self, node: Scalar, expected: mi.StrType) -> Any:
        return node.text

    def _wrong(self, node: Node, choices: list[mi.Type]) -> Any:
        wanted = " or ".join(dict.fromkeys(_named(choice) for choice in choices if not isinstance(choice, mi.NoneType)))
        self.problems.append(Problem(f"expected {wanted}, got {_seen(node)}", node.place, _meant(node, choices)))
        return _FAILED


class _Known(dict[int, tuple[Any, Any]]):
    """What was made of a type, by the object that it is; it is kept with it."""

    def of(self, expected: Any, make: Callable[[Any], Any]) -> Any:
        found = self.get(id(expected))
        if found is None:
            found = self[id(expected)] = expected, make(expected)
        return found[1]


_FIELDS, _TURNS = _Known(), _Known()


def _fields(expected: mi.StructType) -> dict[str, mi.Field]:
    found: dict[str, mi.Field] = _FIELDS.of(expected, lambda one: {field.encode_name: field for field in one.fields})
    return found


def _in_turn(expected: mi.UnionType) -> list[mi.Type]:
    """Text comes last: a number that may be a number is one."""
    found: list[mi.Type] = _TURNS.of(
        expected, lambda one: sorted(_choices(one), key=lambda choice: isinstance(choice, mi.StrType))
    )
    return found


def _meant(node: Node, choices: list[mi.Type]) -> str:
    """The mapping that a bare value was probably meant as."""
    if not isinstance(node, Scalar) or is_null(node):
        return ""
    for struct in (choice for choice in choices if isinstance(choice, mi.StructType)):
        fields = {field.encode_name: field for field in struct.fields}
        for key in MEANT.get(struct.cls, ()):
            if any(_takes(node, choice) for choice in _choices(fields[key].type)):
                value = node.text if node.plain and "," not in node.text else msgspec.json.encode(node.text).decode()
                return f"write {{{key}: {value}}}"
    return ""


def _takes(node: Scalar, choice: mi.Type) -> bool:
    return node.text in choice.values if isinstance(choice, mi.LiteralType) else _fits(node, choice)


def _choices(expected: mi.Type) -> Iterator[mi.Type]:
    match expected:
        case mi.Metadata():
            yield from _choices(expected.type)
        case mi.UnionType(types=types):
            for one in types:
                yield from _choices(one)
        case _:
            yield expected


def _accepts_any(expected: mi.Type) -> bool:
    if isinstance(expected, mi.UnionType):
        return any(_accepts_any(choice) for choice in expected.types)
    return isinstance(expected, mi.AnyType)


def _empty(name: str, child: Node) -> Problem:
    return Problem(
        f"{name!r} is empty",
        child.place,
        "write its value; a # after a space starts a comment, so text with one needs quotes",
    )


def _fits(node: Node, expected: mi.Type) -> bool:
    match expected:
        case mi.Metadata():
            return _fits(node, expected.type)
        case mi.AnyType():
            return True
        case mi.NoneType():
            return is_null(node)
        case mi.StructType() | mi.DictType():
            return isinstance(node, Mapping)
        case mi.ListType():
            return isinstance(node, Sequence)
        case mi.StrType() | mi.LiteralType():
            return isinstance(node, Scalar) and not is_null(node)
        case _:
            return _fits_number(node, expected)


def _fits_number(node: Node, expected: mi.Type) -> bool:
    value = plain_value(node) if isinstance(node, Scalar) else None
    match expected:
        case mi.BoolType():
            return isinstance(value, bool)
        case mi.IntType():
            return isinstance(value, int) and not isinstance(value, bool)
        case mi.FloatType():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            return False


def _named(expected: mi.Type) -> str:
    match expected:
        case mi.Metadata():
            return _named(expected.type)
        case mi.StructType() | mi.DictType():
            return "a mapping"
        case mi.ListType():
            return "a list"
        case mi.StrType():
            return "text"
        case mi.LiteralType(values=values):
            return "one of " + ", ".join(str(value) for value in values)
        case mi.BoolType():
            return "true or false"
        case mi.IntType():
            return "a whole number"
        case _:
            return "a number"


def _seen(node: Node) -> str:
    match node:
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case Scalar(text=text):
            return "nothing" if is_null(node) else repr(text)
