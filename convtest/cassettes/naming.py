"""Placeholders for the secrets of one item: numbered by value, so that two values of a kind never become equal."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from convtest.cassettes.bodies import last_text, rewritten, texts_of
from convtest.cassettes.scrubbing import Scrubber
from convtest.wire.interaction import TERMINAL, Chunk, Interaction
from convtest.wire.marks import ITEM, PLACEHOLDER, Mark, marks_of, numbered, replaced
from convtest.wire.unread import decoded

SECRET_HEADERS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "cookie",
        "set-cookie",
        "anthropic-organization-id",
        "openai-organization",
        "openai-project",
        "request-id",
        "x-request-id",
        "cf-ray",
    }
)
_SECRET_NAME = re.compile(
    r"(?:^|[-_])(?:api-?key|(?:access|private|functions?|subscription)-key|token|secret|passw(?:or)?d|auth|authorization"
    r"|cookie2?|credentials?|signature)$"
)
_TRANSPORT_HEADERS = frozenset({"content-length", "content-encoding", "transfer-encoding", "connection", "host"})
_LIMITED = (b"max_tokens", b'"length"', b'"incomplete"')
"""One of them stands in an answer that ended at the limit of its tokens."""
_BEFORE = 24
"""Letters before the beginning of a secret that tell the place where an answer broke off."""
_FRAGMENT, _WORDS = 8, 12
"""Letters of a secret that are not shown, where a message shows a part of a text; the second where it has no digit."""


class Names:
    """What stands in the place of each secret. `taken`: the placeholders that values have already, in the recording
    that they were bound to."""

    def __init__(self, scrubber: Scrubber, taken: Mapping[Mark, str] | None = None) -> None:
        self._scrubber = scrubber
        self._names: dict[Mark, str] = dict(taken or {})
        self._used = set(self._names.values())
        self._last: dict[str, int] = {}
        self._values: frozenset[str] = frozenset()
        self._partial: list[re.Pattern[str]] = []

    def learn(self, interactions: Iterable[Interaction], sessions: Sequence[str] = ()) -> "Names":
        """Number what stands in these, session by session in the order in which they are declared: who was faster says
        nothing. What stands there as a placeholder already keeps it."""
        order = {name: position for position, name in enumerate(sessions)}
        found = sorted(interactions, key=lambda one: (order.get(one.lane or "", len(order)), one.number))
        marks = [mark for one in found for mark in _marks(one, self._scrubber)]
        self._used |= {mark.token for mark in marks if mark.is_placeholder}
        self._values = frozenset(mark.token for mark in marks if not mark.is_placeholder and mark.kind != ITEM)
        for one in found:
            self._learn_cut(one)
        for one in found:
            self.text(one.request.url)
            self.value(_plain(one.request.body))
            self.chunks(one)
        return self

    def _learn_cut(self, one: Interaction) -> None:
        """Where an answer broke off inside a secret: what is left of it there stands in later requests too."""
        text = last_text(one.body) if breaks_off(one) else ""
        kept = self._kept(text)
        begun = text[kept:]
        if begun:
            before = re.escape(text[max(0, kept - _BEFORE) : kept])
            parts = "|".join(re.escape(begun[:size]) for size in range(len(begun), 0, -1))
            self._partial.append(re.compile(rf"({before or chr(92) + 'A'})(?:{parts})(?![\w-])"))

    def _kept(self, text: str) -> int:
        return self._scrubber.begun(text, self._values)

    def name(self, mark: Mark) -> str:
        """The placeholder of a value; a placeholder stands for itself."""
        if mark.is_placeholder or mark.kind == ITEM:
            return mark.token if mark.is_placeholder else ITEM
        if mark not in self._names:
            self._names[mark] = self._fresh(mark.kind)
        return self._names[mark]

    def _fresh(self, kind: str) -> str:
        number = self._last.get(kind, 0) + 1
        while numbered(kind, number) in self._used:
            number += 1
        self._last[kind] = number
        return numbered(kind, number)

    def text(self, text: str) -> str:
        for begun in self._partial:
            text = begun.sub(r"\1", text)
        return replaced(text, self._scrubber.found(text), self.name)

    def part(self, text: str) -> str:
        """As `text`, for what may show a part of a longer text: fragments of known secrets are no more shown."""
        text = self.text(text)
        for value in sorted(self._values):
            text = _without_fragments(text, value)
        return text

    def data(self, data: bytes) -> bytes:
        """Bytes that are no UTF-8 are looked through all the same."""
        text = data.decode("utf-8", "surrogateescape")
        scrubbed = self.text(text)
        return data if scrubbed is text else scrubbed.encode("utf-8", "surrogateescape")

    def value(self, value: Any) -> Any:
        """JSON data with every text in it scrubbed, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(one) for one in value]
        if isinstance(value, dict):
            return {self.text(key): self.value(one) for key, one in value.items()}
        return value

    def headers(self, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Headers of either direction; those of the transfer itself are left out, the stored body is plain."""
        return [
            (name, PLACEHOLDER if is_secret_header(name) else self.text(value))
            for name, value in headers
            if name.lower() not in _TRANSPORT_HEADERS
        ]

    def chunks(self, one: Interaction) -> list[Chunk]:
        """An answer's chunks; one that broke off inside a secret ends before it."""
        return rewritten(one.chunks, self._scrubber, self.name, self._kept if breaks_off(one) else None)


def is_secret_header(name: str) -> bool:
    """Whether nothing of its value is kept: a secret by its name, whatever it looks like."""
    return name.lower() in SECRET_HEADERS or _SECRET_NAME.search(name.lower()) is not None


def breaks_off(one: Interaction) -> bool:
    """Whether an answer may end in the middle of a word: on the way, or at the limit of its tokens."""
    limited = any(mark in one.body for mark in _LIMITED) and one.reply().get("stop_reason") == "max_tokens"
    return limited or is_cut(one)


def is_cut(one: Interaction) -> bool:
    """Whether a streamed answer broke off."""
    return one.is_stream and one.status == 200 and not any(mark in one.body for mark in TERMINAL)


def _marks(one: Interaction, scrubber: Scrubber) -> Iterator[Mark]:
    yield from marks_of([one.request.url, _plain(one.request.body)], scrubber)
    yield from marks_of([one.body.decode("utf-8", "replace"), *texts_of(one.body)], scrubber)


def _plain(body: bytes) -> Any:
    """JSON data, or the text of what is none."""
    try:
        return decoded(body)
    except ValueError:
        return body.decode("utf-8", "surrogateescape")


def _without_fragments(text: str, value: str) -> str:
    at = 0
    while (found := _fragment(text, value, at)) is not None:
        start, end = found
        # Plain words may stand there on their own account.
        shown = "…" if end - start >= _WORDS or any(letter.isdigit() for letter in text[start:end]) else text[start:end]
        text, at = f"{text[:start]}{shown}{text[end:]}", start + len(shown)
    return text


def _fragment(text: str, value: str, at: int) -> tuple[int, int] | None:
    """Where, from `at` on, a part of the value stands in the text, as long as it goes."""
    for offset in range(0, len(value) - _FRAGMENT + 1, _FRAGMENT // 2):
        start = text.find(value[offset : offset + _FRAGMENT], at)
        if start < 0:
            continue
        end, onward = start + _FRAGMENT, offset + _FRAGMENT
        while offset > 0 and start > at and text[start - 1] == value[offset - 1]:
            start, offset = start - 1, offset - 1
        while onward < len(value) and end < len(text) and text[end] == value[onward]:
            end, onward = end + 1, onward + 1
        return start, end
    return None
