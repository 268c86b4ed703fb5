"""The forms in which the world keeps requests and answers, read with an error for each value of another kind.

vcrpy's own and its older one for httpx (https://github.com/kevin1024/vcrpy, stubs/httpx_stubs.py); bodies as data under
`parsed_body` (pydantic-ai's serializer) or in place of text; requests and responses side by side (langchain's).
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


class NotACassette(ValueError):
    """The data can be read, and is not a cassette; or something in it is not what stands there."""


_BODIES = ("parsed_body", "body", "content")
_KINDS: Mapping[type, str] = {
    dict: "a mapping",
    list: "a list",
    str: "a text",
    bytes: "binary",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    type(None): "nothing",
}
_OF_A_BODY = {"string", "base64_string", "encoding"}


class Fields:
    """A mapping of a cassette, and the words for the place where it stands."""

    def __init__(self, given: Any, where: str = "") -> None:
        self.where = where
        if not isinstance(given, Mapping):
            raise self._unlike("", "a mapping", given)
        self.given = given

    def at(self, key: str) -> "Fields":
        return Fields(self.given.get(key), self._place(key))

    def has(self, key: str) -> bool:
        return self.given.get(key) is not None

    def text(self, key: str, default: str | None = None) -> str:
        value = self.given.get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self._unlike(key, "a text", value)
        return str(value)

    def number(self, key: str, low: int, high: int) -> int:
        value = self.given.get(key)
        if isinstance(value, str) and value.isdecimal() and len(value) < 10:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._unlike(key, "a whole number", value)
        if not low <= value <= high:
            raise NotACassette(f"{self._place(key)}: {shortened(value)} is not between {low} and {high}")
        return value

    def milliseconds(self, key: str) -> float | None:
        value = self.given.get(key)
        try:
            found = None if value is None else float(value)
        except (TypeError, ValueError, OverflowError):
            raise self._unlike(key, "milliseconds", value) from None
        if found is not None and not 0 <= found < 1e12:
            raise self._unlike(key, "milliseconds", value)
        return found

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Of either direction: a mapping of lists or of texts, or a list of pairs."""
        given = self.given.get("headers")
        if isinstance(given, Mapping):
            pairs = [(name, one) for name, values in given.items() for one in _listed(values)]
        elif isinstance(given, list) and all(isinstance(one, list) and len(one) == 2 for one in given):
            pairs = [(name, one) for name, values in given for one in _listed(values)]
        elif given is None:
            pairs = []
        else:
            raise self._unlike("headers", "a mapping", given)
        if any(isinstance(one, dict | list) for pair in pairs for one in pair):
            raise NotACassette(f"{self._place('headers')}: their names and values are texts")
        return tuple((_plain(name).lower(), _plain(value)) for name, value in pairs)

    def body(self) -> bytes:
        """Wherever it stands and whichever form it has. Raises NotACassette where there is none that is known."""
        key = next((one for one in _BODIES if self.has(one)), None)
        if key is None:
            return self._no_body()
        value = self.given[key]
        if key == "body" and isinstance(value, Mapping) and set(value) <= _OF_A_BODY:
            return Fields(value, self._place(key))._spelled()
        return self._data(key, value)

    def _no_body(self) -> bytes:
        """There is none, and that is meant, only where nothing stands here that could be one."""
        others = [str(key) for key in self.given if key not in _KNOWN and not str(key).startswith("x-")]
        if others and not any(one in self.given for one in _BODIES):
            names = ", ".join(shortened(one) for one in others[:6])
            raise NotACassette(f"{self.where}: it has no body, parsed_body or content, and {names}, which is not known")
        return b""

    def _spelled(self) -> bytes:
        if isinstance(text := self.given.get("base64_string"), str):
            return _base64(text, self._place("base64_string"))
        value = self.given.get("string")
        return b"" if value is None else self._data("string", value)

    def _data(self, key: str, value: Any) -> bytes:
        if isinstance(value, bytes):
            return value
        try:
            # Serializers of others keep JSON as data.
            return msgspec.json.encode(value) if isinstance(value, dict | list) else str(value).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise NotACassette(f"{self._place(key)}: {error}") from None

    def _place(self, key: str) -> str:
        return ".".join(part for part in (self.where, key) if part)

    def _unlike(self, key: str, wanted: str, value: Any) -> NotACassette:
        found = _kind(value)
        shown = f" ({shortened(value)})" if isinstance(value, str | int | float) and value != "" else ""
        return NotACassette(f"{self._place(key) or 'it'}: {wanted} was expected, not {found}{shown}")


_KNOWN = {
    *_BODIES,
    *("method", "uri", "url", "headers", "status", "status_code", "http_version", "protocol", "version", "reason"),
}


def status_of(response: Fields) -> tuple[int, str]:
    """Code and reason: in a mapping, or on their own."""
    if isinstance(response.given.get("status"), Mapping):
        status = response.at("status")
        return status.number("code", 100, 999), status.text("message", "")
    key = "status_code" if response.has("status_code") else "status"
    return response.number(key, 100, 999), response.text("reason", "")


def interactions_of(data: Any) -> Sequence[Any] | None:
    """The pairs of request and response; None where the data has none in any form."""
    if not isinstance(data, Mapping):
        return None
    if "interactions" in data:
        given = data["interactions"]
        if given == {}:
            return []  # so some serializers write that nothing was asked
        if not isinstance(given, list):
            raise NotACassette(f"interactions: a list was expected, not {_kind(given)}")
        return given
    requests, responses = data.get("requests"), data.get("responses")
    if isinstance(requests, list) and isinstance(responses, list):
        if len(requests) != len(responses):
            raise NotACassette(f"it has {len(requests)} requests and {len(responses)} responses")
        return [{"request": a, "response": b} for a, b in zip(requests, responses, strict=True)]
    return None


def shortened(value: Any) -> str:
    """A value as an error shows it: what is long only by its beginning."""
    text = str(value) if not isinstance(value, int) or abs(value) < 10**40 else f"a number of {value.bit_length()} bits"
    text = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[:61])
    return text if len(text) <= 60 else f"{text[:59]}…"


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), type(value).__name__)


def _listed(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return "" if value is None else str(value)


def _base64(text: str, place: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        raise NotACassette(f"{place}: it is not base64") from None
