"""A transcript as its recording will have it: secrets replaced in what the author wrote and in what was said.

Requests and cassettes hold placeholders, so the words they are compared with must hold the same ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from convtest.transcript import StepRecord, Transcript, TurnRecord

T = TypeVar("T")

_PLACES = frozenset({"node", "place", "file", "cassette"})
"""Where something stands in a file is no text of the conversation."""


def with_placeholders(transcript: Transcript, scrub: Callable[[str], str]) -> Transcript:
    """The same transcript, changed in place, with `scrub` applied to every text that checks compare."""
    transcript.scenario = scrubbed(transcript.scenario, scrub)
    transcript.not_run = scrubbed(transcript.not_run, scrub)
    for record in transcript.records:
        _record(record, scrub)
    return transcript


def _record(record: StepRecord, scrub: Callable[[str], str]) -> None:
    record.step = scrubbed(record.step, scrub)
    record.files = scrubbed(record.files, scrub)
    record.crash, record.hung = scrub(record.crash), scrub(record.hung)
    if record.error is not None:
        record.error.message = scrub(record.error.message)
    if isinstance(record, TurnRecord):
        record.scrub = scrub
        record.events = [scrubbed(event, scrub) for event in record.events]
        record.late = [scrubbed(event, scrub) for event in record.late]


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


def _if_changed(old: Any, new: list[Any]) -> Any:
    return old if all(a is b or a == b for a, b in zip(old, new, strict=True)) else type(old)(new)


def _mapping(old: Mapping[Any, Any], scrub: Callable[[str], str]) -> Mapping[Any, Any]:
    new = {scrubbed(key, scrub): scrubbed(one, scrub) for key, one in old.items()}
    return old if new == old else new


def _fields(old: Any, names: tuple[str, ...], scrub: Callable[[str], str], made: Callable[..., Any]) -> Any:
    new = {name: scrubbed(getattr(old, name), scrub) for name in names if name not in _PLACES}
    changed = {name: one for name, one in new.items() if one is not getattr(old, name) and one != getattr(old, name)}
    return made(old, **changed) if changed else old
