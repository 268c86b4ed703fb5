"""A result as it may be shown: secrets replaced in every text of it. Checks read the words that were said."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from convtest.cassettes.naming import Names
from convtest.results.model import Result
from convtest.structs import replace

T = TypeVar("T")

_PLACES = frozenset({"node", "place", "file", "cassette"})
"""Where something stands in a file is no text of the conversation."""


def without_secrets(result: Result, names: Names) -> Result:
    """As it may be shown. Its messages quote parts of what was said, and so of a secret, which is not whole in them."""
    found = [scrubbed(one, names.part) for one in result.found]
    return scrubbed(msgspec.structs.replace(result, found=found, headline=names.part(result.headline)), names.text)


def scrubbed(value: T, scrub: Callable[[str], str]) -> T:
    """`value` with every text in it scrubbed, however deep; the very same object where that changes nothing."""
    found: Any = value
    match found:
        case str():
            return scrub(found)  # type: ignore[return-value]
        case list() | tuple():
            return _if_changed(found, [scrubbed(one, scrub) for one in found])  # type: ignore[no-any-return]
        case dict() | MappingProxyType():
            return _mapping(found, scrub)  # type: ignore[return-value]
        case msgspec.Struct():
            names = found.__struct_fields__
            return _fields(found, names, scrub, msgspec.structs.replace)  # type: ignore[no-any-return]
        case _ if is_dataclass(found) and not isinstance(found, type):
            names = tuple(field.name for field in fields(found))
            return _fields(found, names, scrub, replace)  # type: ignore[no-any-return]
    return value


def texts_in(value: Any) -> Iterator[str]:
    """Every text in it, however deep, but for places in files."""
    match value:
        case str():
            yield value
        case list() | tuple():
            for one in value:
                yield from texts_in(one)
        case dict() | MappingProxyType():
            for key, one in value.items():
                yield from texts_in(key)
                yield from texts_in(one)
        case msgspec.Struct():
            names = (name for name in value.__struct_fields__ if name not in _PLACES)
            yield from (text for name in names for text in texts_in(getattr(value, name)))
        case _ if is_dataclass(value) and not isinstance(value, type):
            names = (field.name for field in fields(value) if field.name not in _PLACES)
            yield from (text for name in names for text in texts_in(getattr(value, name)))


def _if_changed(old: Any, new: list[Any]) -> Any:
    return old if all(a is b or a == b for a, b in zip(old, new, strict=True)) else type(old)(new)


def _mapping(old: Mapping[Any, Any], scrub: Callable[[str], str]) -> Mapping[Any, Any]:
    new = {scrubbed(key, scrub): scrubbed(one, scrub) for key, one in old.items()}
    return old if new == old else new


def _fields(old: Any, names: tuple[str, ...], scrub: Callable[[str], str], made: Callable[..., Any]) -> Any:
    new = {name: scrubbed(getattr(old, name), scrub) for name in names if name not in _PLACES}
    changed = {name: one for name, one in new.items() if one is not getattr(old, name) and one != getattr(old, name)}
    return made(old, **changed) if changed else old
