"""YAML and JSON of cassettes as plain data. YAML is read event by event: no recursion, no tags that make anything.

A loader that composes recursively crashes the interpreter on a few kilobytes of brackets; this one counts them, and
what aliases unfold to.
"""

import base64
import binascii
import re
from typing import Any

import msgspec
import yaml

from convtest.errors import MissingDecoder
from convtest.limits import DEFAULTS, Limits
from convtest.wire.encoding import decoded_body, shape_of

_Loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_MAX_DEPTH = 200
_MOST_UNFOLDED = 1_000_000
_MOST_DIGITS = 400
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_BINARY = "tag:yaml.org,2002:binary"
_OF_PYTHON = "tag:yaml.org,2002:python/"
_PLAIN_TAGS = {None, "!", "tag:yaml.org,2002:str", f"{_OF_PYTHON}str", f"{_OF_PYTHON}unicode"}
"""The last two are what vcrpy wrote under Python 2, and reads."""
_LISTS = {f"{_OF_PYTHON}tuple", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"}


class Refused(ValueError):
    """What is no cassette; `line` counts from 1."""

    def __init__(self, what: str, event: Any = None) -> None:
        mark = event.start_mark if event is not None else None
        self.line: int = mark.line + 1 if mark else 0
        super().__init__(what)


UNREADABLE: tuple[type[Exception], ...] = (yaml.YAMLError, ValueError)
"""What reading raises where there is no cassette: Refused and NotACassette are ValueErrors."""


def read(data: bytes, limits: Limits = DEFAULTS) -> Any:
    """The first document, also of a file that is packed with gzip. Raises Refused or yaml.YAMLError."""
    if shape_of(data):
        try:
            data = decoded_body(data, (), by_shape=True, limit=limits.cassette)
        except (ValueError, MissingDecoder) as error:
            raise Refused(f"the file is packed, and {error}") from None
    data = data.removeprefix(b"\xef\xbb\xbf")
    # YAML knows no surrogate pairs, which JSON has for an emoji.
    return _json(data) if is_braced(data) else _Yaml().document(data)


def is_braced(data: bytes) -> bool:
    """Whether it is JSON, or written as JSON is: a beginning of it cannot be read."""
    return data.lstrip()[:1] in {b"{", b"["}


def _json(data: bytes) -> Any:
    """JSON; a mapping of YAML in braces where it is none."""
    try:
        return msgspec.json.decode(data)
    except RecursionError:
        raise Refused("nested too deep") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        try:
            return _Yaml().document(data)
        except yaml.YAMLError as error:
            if "surrogate" in str(problem):
                raise Refused(f"as JSON: {problem}") from None
            raise error from None


class _Yaml:
    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._keys: list[Any] = []
        self._root: Any = None
        self._anchors: dict[str, tuple[Any, int]] = {}
        """Values that aliases may name, and how many values each holds."""
        self._open: list[tuple[str | None, int]] = []
        """The anchor of each collection that is open, and how many values came before it."""
        self._values = 0
        self._unfolded = 0

    def document(self, data: bytes) -> Any:
        for event in yaml.parse(data, Loader=_Loader):
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._add(_scalar(event), event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                value = _opened(event, len(self._stack))
                self._add(value, event)
                self._stack.append(value)
                self._keys.append(_NO_KEY)
                self._open.append((_anchor(event), self._values + self._unfolded))
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._close()
            elif kind is yaml.AliasEvent:
                self._add(self._named(event), event)
            elif kind is yaml.DocumentEndEvent:
                break
        return self._root

    def _add(self, value: Any, event: Any) -> None:
        self._values += 1
        if not self._stack:
            self._root = value
        else:
            _put(self._stack[-1], self._keys, value, event)
        if type(event) is yaml.ScalarEvent and event.anchor:
            self._anchors[event.anchor] = value, 1

    def _close(self) -> None:
        value = self._stack.pop()
        self._keys.pop()
        anchor, before = self._open.pop()
        if anchor:
            self._anchors[anchor] = value, self._values + self._unfolded - before + 1

    def _named(self, event: Any) -> Any:
        """What an alias stands for: recorders write a list once that several interactions share."""
        if event.anchor not in self._anchors:
            raise Refused(f"the alias *{event.anchor} names nothing that stands before it", event)
        value, count = self._anchors[event.anchor]
        self._unfolded += count
        if self._unfolded > _MOST_UNFOLDED:
            raise Refused(f"its aliases unfold to more than {_MOST_UNFOLDED:,} values", event)
        return value


_NO_KEY = object()


def _anchor(event: Any) -> str | None:
    name: str | None = event.anchor
    return name


def _opened(event: Any, depth: int) -> Any:
    if depth >= _MAX_DEPTH:
        raise Refused(f"nested deeper than {_MAX_DEPTH} levels", event)
    if event.tag is not None and event.tag != "!" and event.tag not in _LISTS:
        raise Refused(f"the tag {event.tag!r} is not allowed in a cassette", event)
    return {} if type(event) is yaml.MappingStartEvent else []


def _put(holder: Any, keys: list[Any], value: Any, event: Any) -> None:
    if isinstance(holder, list):
        holder.append(value)
    elif keys[-1] is _NO_KEY:
        if isinstance(value, dict | list):
            raise Refused("a key must be a word", event)
        keys[-1] = value
    else:
        holder[keys[-1]] = value
        keys[-1] = _NO_KEY


def _scalar(event: Any) -> Any:
    text: str = event.value
    if event.tag == _BINARY:
        try:
            return base64.b64decode(text)
        except (binascii.Error, ValueError):
            raise Refused("the binary value is not base64", event) from None
    if event.tag not in _PLAIN_TAGS:
        raise Refused(f"the tag {event.tag!r} is not allowed in a cassette", event)
    if (event.style is not None and event.style != "") or event.tag is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _MOST_DIGITS and (_INT.fullmatch(text) or _FLOAT.fullmatch(text)):
        raise Refused(f"a number of {len(text):,} digits", event)
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
