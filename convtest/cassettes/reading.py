"""YAML of cassettes as plain data, read event by event: no recursion, no aliases, no tags but binary.

A loader that composes recursively crashes the interpreter on a few kilobytes of brackets; this one counts them.
"""

import base64
import binascii
import re
from typing import Any

import yaml

_Loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_MAX_DEPTH = 60
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_BINARY = "tag:yaml.org,2002:binary"
_PLAIN_TAGS = {None, "!", "tag:yaml.org,2002:str"}


class Refused(ValueError):
    """YAML that is no cassette; `line` counts from 1."""

    def __init__(self, what: str, event: Any) -> None:
        mark = event.start_mark
        self.line: int = mark.line + 1 if mark else 0
        super().__init__(what)


def read(data: bytes) -> Any:
    """The first document. Raises Refused or yaml.YAMLError."""
    stack: list[Any] = []
    keys: list[Any] = []
    root: Any = None
    for event in yaml.parse(data, Loader=_Loader):
        kind = type(event)
        if kind is yaml.ScalarEvent:
            value = _scalar(event)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            value = _opened(event, len(stack))
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            stack.pop()
            keys.pop()
            continue
        elif kind is yaml.AliasEvent:
            raise Refused("aliases are not allowed in a cassette", event)
        elif kind is yaml.DocumentEndEvent:
            return root
        else:
            continue
        if not stack:
            root = value
        else:
            _put(stack[-1], keys, value, event)
        if kind is not yaml.ScalarEvent:
            stack.append(value)
            keys.append(_NO_KEY)
    return root


_NO_KEY = object()


def _opened(event: Any, depth: int) -> Any:
    if depth >= _MAX_DEPTH:
        raise Refused(f"nested deeper than {_MAX_DEPTH} levels", event)
    if event.tag is not None and event.tag != "!":
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
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
