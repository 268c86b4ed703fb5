"""YAML text becomes nodes that know their place; limits, doubled keys and the traps of YAML are caught here."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import yaml

from convtest.errors import Place, Problem, ScenarioError
from convtest.structs import Struct

MAX_BYTES = 1_000_000
"""A scenario is written by hand; a larger file is a mistake, and is refused before it is read."""
MAX_NODES = 100_000
MAX_DEPTH = 60


class Scalar(Struct, frozen=True):
    """A word or number as it was written; `plain` if it had no quotes."""

    text: str
    plain: bool
    place: Place


class Sequence(Struct, frozen=True):
    items: tuple["Node", ...]
    place: Place


class Mapping(Struct, frozen=True):
    entries: dict[str, "Node"]
    keys: dict[str, Place]
    flow: bool
    place: Place


Node = Scalar | Sequence | Mapping

_INT = re.compile(r"[-+]?[0-9]+")
_OCT_HEX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = {"", "~", "null", "Null", "NULL"}


def is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.plain and node.text in _NULLS


def plain_value(node: Node) -> Any:
    """The value by the core schema of YAML 1.2.2 section 10.3.2: `no`, `on` and `1:20` stay text."""
    match node:
        case Sequence(items=items):
            return [plain_value(item) for item in items]
        case Mapping(entries=entries):
            return {key: plain_value(value) for key, value in entries.items()}
        case Scalar(text=text, plain=False):
            return text
        case Scalar(text=text, place=place):
            try:
                return _core_scalar(text)
            except ValueError:
                raise ScenarioError(
                    [Problem(f"a number of {len(text):,} digits", place, "put quotes around it if it is text")]
                ) from None


def _core_scalar(text: str) -> Any:
    if text in _NULLS:
        return None
    if text in _SPECIAL:
        return _SPECIAL[text]
    if _INT.fullmatch(text):
        return int(text)
    if _OCT_HEX.fullmatch(text):
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text


def read_text(path: Path, shown: str) -> str:
    """The file's text. Raises ScenarioError for a file that is too large or not UTF-8."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ScenarioError(
                [
                    Problem(
                        f"the file has {size:,} bytes, more than the {MAX_BYTES:,} a scenario may have",
                        Place(shown),
                        "move long texts to files: or split the scenario",
                    )
                ]
            )
        data = path.read_bytes()
    except OSError as error:
        raise ScenarioError([Problem(f"cannot read the file: {error.strerror}", Place(shown))]) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise ScenarioError(
            [
                Problem(
                    f"byte 0x{data[error.start]:02x} is not UTF-8",
                    Place(shown, line, column),
                    "save the file as UTF-8",
                )
            ]
        ) from None


def documents(text: str, shown: str) -> list[Node]:
    """The documents of a YAML text. Raises ScenarioError with the place of what is wrong."""
    builder = _Builder(shown, text.splitlines())
    try:
        return builder.documents(_events(text))
    except ScenarioError:
        raise
    except Exception as error:
        if type(error).__module__.split(".")[0] not in {"yaml", "ruamel"}:
            raise
        raise ScenarioError([builder.explain(error)]) from None


def with_libyaml() -> bool:
    """Whether PyYAML was built with the parser in C."""
    return bool(yaml.__with_libyaml__)


def _events(text: str) -> Iterator[Any]:
    """Parser events with marks: libyaml's where it is there, ruamel's (pure Python, the same shape) where not."""
    if with_libyaml():
        return iter(yaml.parse(text, Loader=yaml.CSafeLoader))
    from ruamel.yaml import YAML

    return iter(YAML(typ="safe", pure=True).parse(text))


class _Builder:
    """Builds nodes from parser events with an explicit depth, so that no input can exhaust the stack or memory."""

    def __init__(self, shown: str, lines: list[str]) -> None:
        self._shown = shown
        self._lines = lines
        self._count = 0
        self._anchors: dict[str, tuple[Node, int]] = {}

    def documents(self, events: Iterator[Any]) -> list[Node]:
        found: list[Node] = []
        for event in events:
            if type(event).__name__ == "DocumentStartEvent":
                self._anchors = {}
                node = self._node(next(events), events, 0)
                if not is_null(node):
                    found.append(node)
        return found

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        place = self._place(event)
        before = self._count
        self._add(1, place)
        if depth > MAX_DEPTH:
            self._refuse(f"nested deeper than {MAX_DEPTH} levels", place)
        name = type(event).__name__
        if name == "AliasEvent":
            return self._alias(event, place)
        if event.tag is not None and event.tag not in {"!", "tag:yaml.org,2002:str"}:
            self._refuse(f"the tag {event.tag!r} is not allowed", place, "write the plain value")
        node: Node
        if name == "ScalarEvent":
            plain = event.style in (None, "") and event.tag is None
            if plain:
                self._cut_by_comment(event, place)
            node = Scalar(event.value, plain, place)
        elif name == "SequenceStartEvent":
            node = Sequence(tuple(self._items(events, depth)), place)
        else:
            node = self._mapping(event, events, depth, place)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, self._count - before)
        return node

    def _cut_by_comment(self, event: Any, place: Place) -> None:
        """Words, a space and `#5`: meant as text, read as a comment."""
        mark = event.end_mark
        line = self._lines[mark.line] if mark.line < len(self._lines) else ""
        if " " in event.value and re.match(r"\s+#[^\s#]", line[mark.column :]):
            help = f"put quotes around it: {_quoted_after_key(line)}"
            self._refuse("the text ends here: a # after a space starts a comment", place, help)

    def _items(self, events: Iterator[Any], depth: int) -> Iterator[Node]:
        while type(event := next(events)).__name__ != "SequenceEndEvent":
            yield self._node(event, events, depth + 1)

    def _mapping(self, start: Any, events: Iterator[Any], depth: int, place: Place) -> Mapping:
        entries: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        while type(event := next(events)).__name__ != "MappingEndEvent":
            key_place = self._place(event)
            if type(event).__name__ != "ScalarEvent":
                self._refuse("a key must be a word", key_place)
            key = event.value
            if key == "<<" and event.implicit[0]:  # in quotes it is a word
                self._refuse("merge keys (<<) are not part of YAML 1.2", key_place, "repeat the keys")
            if key in entries:
                self._refuse(f"the key {key!r} stands here twice", key_place, f"the first is at line {keys[key].line}")
            entries[key] = self._node(next(events), events, depth + 1)
            keys[key] = key_place
        return Mapping(entries, keys, bool(start.flow_style), place)

    def _alias(self, event: Any, place: Place) -> Node:
        if event.anchor not in self._anchors:
            self._refuse(f"the alias *{event.anchor} names nothing", place)
        node, size = self._anchors[event.anchor]
        self._add(size, place)
        return node

    def _add(self, nodes: int, place: Place) -> None:
        self._count += nodes
        if self._count > MAX_NODES:
            self._refuse(f"more than {MAX_NODES:,} values, aliases counted each time they stand", place)

    def _place(self, event: Any) -> Place:
        return Place(self._shown, event.start_mark.line + 1, event.start_mark.column + 1)

    def _refuse(self, what: str, place: Place, help: str = "") -> NoReturn:
        raise ScenarioError([Problem(what, place, help)])

    def _unreadable(self) -> Place:
        """The first line with a character that no YAML may hold; a reader's complaint has no mark."""
        bad = (n for n, line in enumerate(self._lines, 1) if any(c < " " and c != "\t" for c in line))
        return Place(self._shown, next(bad, 0))

    def explain(self, error: Exception) -> Problem:
        """A parser's complaint in our own words, with what usually causes it."""
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = str(getattr(error, "problem", None) or error).splitlines()[0]
        place = Place(self._shown, mark.line + 1, mark.column + 1) if mark else self._unreadable()
        line = self._lines[place.line - 1] if 0 < place.line <= len(self._lines) else ""
        if "mapping values are not allowed" in problem and place.column - 1 == line.find(":"):
            return Problem(
                f"{line.split(':')[0].strip()!r} is indented deeper than the text before it, and so goes on with it",
                place,
                "indent it as the keys around it",
            )
        if "mapping values are not allowed" in problem:
            return Problem(
                "a colon and a space inside plain text start a new mapping",
                place,
                f"put quotes around the text: {_quoted_after_key(line)}",
            )
        if "${" in line and "{" in line.split("${")[0]:
            return Problem(
                "${…} inside {…} needs quotes, because its braces are YAML's too",
                place,
                'write {contains: "${name}"}, or use a block:\n        contains: ${name}',
            )
        if "cannot start any token" in problem and "\t" not in line[: place.column]:
            return Problem("text that starts with @, ` or % needs quotes", place, _quoted_after_key(line))
        if "alphabetic or numeric character" in problem:
            return Problem("text that starts with * or & needs quotes", place, _quoted_after_key(line))
        if "\t" in line[: place.column]:
            return Problem("a tab cannot indent YAML", place, "use spaces")
        return Problem(f"malformed YAML: {problem}", place, "check indentation, quotes and brackets just before here")


def _quoted_after_key(line: str) -> str:
    key, _, rest = line.strip().partition(": ")
    return f'{key}: "{rest}"' if rest else line.strip()
