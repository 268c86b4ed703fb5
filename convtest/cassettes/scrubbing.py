"""What never reaches a file or a terminal: keys, cookies, accounts, organisations, projects, home folders."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from convtest.cassettes.edits import Edits
from convtest.wire.interaction import Chunk

PLACEHOLDER = "SCRUBBED"
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
_TRANSPORT_HEADERS = frozenset({"content-length", "content-encoding", "transfer-encoding", "connection", "host"})
KINDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "KEY": (
        r"\bsk-(?:ant-|proj-|svcacct-)?[A-Za-z0-9_-]{16,}"  # noqa: ISC004  one pattern on three lines
        r"|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,}"
        r"|\bxox[abposr]-[A-Za-z0-9-]{16,}|\bAIza[0-9A-Za-z_-]{30,}|\bhf_[A-Za-z0-9]{30,}",
        ("sk-", "AKIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "xox", "AIza", "hf_"),
    ),
    "TOKEN": (
        r"(?<=Bearer )[A-Za-z0-9._~+/-]{16,}=*|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
        ("Bearer ", "eyJ"),
    ),
    "ORGANISATION": (
        r"\borg-[A-Za-z0-9]{16,}|(?<=\"organization_uuid\":\")[0-9a-f-]{36}",
        ("org-", "organization_uuid"),
    ),
    "PROJECT": (r"\bproj_[A-Za-z0-9]{16,}", ("proj_",)),
    "ACCOUNT": (
        r"\b(?:acct|user)_[A-Za-z0-9]{16,}|(?<=account_)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        ("acct_", "user_", "account_"),
    ),
}
"""Secrets known by their shape, each with the letters one of which it must hold: looking for those is far cheaper."""

_HOME = (
    r"(?<![\w./-])(?:/home/|/Users/|%2[Ff](?:home|Users)%2[Ff]|[A-Z]:\\\\?Users\\\\?)"
    r"[A-Za-z0-9._-]+(?=[/\\\"'\s:,;)%&]|$)"
)
_HOME_LETTERS = ("/home/", "/Users/", "%2Fhome", "%2fhome", "%2FUsers", "%2fUsers", ":\\Users", ":\\\\Users")
_DELTAS = re.compile(rb'"(?:text|content|partial_json|thinking|delta|arguments)": ?"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Rule:
    """What to look for, and what stands there instead; the placeholder is the same everywhere."""

    pattern: "re.Pattern[str]"
    placeholder: str
    letters: tuple[str, ...] = ()
    """Where none of these stand, neither does the pattern; empty where that is not known."""

    def may_be_in(self, text: str) -> bool:
        return not self.letters or any(letters in text for letters in self.letters)


_SESSION_FILE = Rule(
    re.compile(r"/ITEM/home/\.claude/projects/[\w./-]+\.jsonl"), "/ITEM/session.jsonl", ("/ITEM/home/",)
)
"""Where Claude Code keeps a session: the folder and the session's id are other ones in each run."""


class Scrubber:
    """Replaces secrets in text, headers and streams; scrubbing twice changes nothing more."""

    def __init__(self, values: Mapping[str, str] | None = None, patterns: Sequence[str] = ()) -> None:
        rules = [
            Rule(re.compile("|".join(re.escape(form) for form in forms)), f"{PLACEHOLDER}_{name}", tuple(forms))
            for name, value in (values or {}).items()
            if (forms := _spellings(value))
        ]
        rules += [Rule(re.compile(shape), f"{PLACEHOLDER}_{kind}", has) for kind, (shape, has) in KINDS.items()]
        rules += [Rule(re.compile(pattern), f"{PLACEHOLDER}_OWN") for pattern in patterns]
        home = str(Path.home())
        homes = rf"{_HOME}|(?<![\w./-]){re.escape(home)}(?=[/\\\"'\s:,;)]|$)"
        # Conversations repeat themselves: each request holds the texts of the one before.
        self._known = lru_cache(maxsize=1024)(self.text)
        self._rules = [
            *rules,
            Rule(
                re.compile(homes),
                "/HOME",
                ("/home/", "/Users/", "%2Fhome", "%2fhome", "%2FUsers", "%2fUsers", ":\\Users", ":\\\\Users", home),
            ),
        ]

    def within(self, folder: Path, token: str = "") -> "Scrubber":
        """The same, and the item's own folder as `/ITEM`, the run's token as a key: they are other ones in each run."""
        made = copy(self)
        spelled = str(folder)
        inside = Rule(re.compile(re.escape(spelled)), "/ITEM", (spelled,))
        key = [Rule(re.compile(re.escape(token)), f"{PLACEHOLDER}_RUN_TOKEN", (token,))] if token else []
        made._rules = [*key, inside, _SESSION_FILE, *self._rules]
        made._known = lru_cache(maxsize=1024)(made.text)
        return made

    def text(self, text: str) -> str:
        for rule in self._rules:
            if rule.may_be_in(text):
                text = rule.pattern.sub(rule.placeholder, text)
        return text

    def data(self, data: bytes) -> bytes:
        """Bytes that are no UTF-8 are looked through all the same."""
        text = data.decode("utf-8", "surrogateescape")
        scrubbed = self.text(text)
        return data if scrubbed is text else _bytes(scrubbed)

    def value(self, value: Any) -> Any:
        """JSON data with every text in it scrubbed, keys included."""
        if isinstance(value, str):
            return self._known(value)
        if isinstance(value, list):
            return [self.value(one) for one in value]
        if isinstance(value, dict):
            return {self._known(key): self.value(one) for key, one in value.items()}
        return value

    def headers(self, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Headers of either direction; those of the transfer itself are left out, the stored body is plain."""
        return [
            (name, PLACEHOLDER if name.lower() in SECRET_HEADERS else self.text(value))
            for name, value in headers
            if name.lower() not in _TRANSPORT_HEADERS
        ]

    def chunks(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """The chunks with secrets replaced, also those that were cut by a boundary or lie over several events."""
        body = b"".join(chunk.data for chunk in chunks)
        edits = Edits(body)
        edits.apply(self._split_over_events(body))
        edits.apply(self._contiguous(edits.body))
        return edits.chunks(chunks) if edits.changed else list(chunks)

    def finds(self, text: str) -> bool:
        """Whether there is something in it to scrub."""
        return self.text(text) != text

    def _contiguous(self, body: bytes) -> list[tuple[int, int, bytes]]:
        text = body.decode("utf-8", "surrogateescape")
        return [
            (len(_bytes(text[:start])), len(_bytes(text[:end])), _bytes(new)) for start, end, new in self._spans(text)
        ]

    def _spans(self, text: str) -> list[tuple[int, int, str]]:
        """(start, end, placeholder) of what is found, the earlier rule first where two overlap."""
        taken: list[tuple[int, int, str]] = []
        for rule in self._rules:
            for found in rule.pattern.finditer(text) if rule.may_be_in(text) else ():
                start, end = found.span()
                if start < end and all(end <= a or start >= b for a, b, _ in taken):
                    taken.append((start, end, rule.placeholder))
        return sorted(taken)

    def _split_over_events(self, body: bytes) -> list[tuple[int, int, bytes]]:
        """Secrets whose letters came in several deltas: the first gets the placeholder, the others nothing."""
        together = b"".join(_DELTAS.findall(body)).decode("utf-8", "replace")
        if not any(rule.may_be_in(together) for rule in self._rules):
            return []
        pieces: dict[str, list[_Piece]] = {}
        for piece in _pieces(body):
            pieces.setdefault(piece.path, []).append(piece)
        changed: dict[int, _Piece] = {}
        for row in pieces.values():
            for piece in self._rewritten(row):
                changed[piece.start] = piece
        return [(piece.start, piece.end, piece.line()) for _, piece in sorted(changed.items())]

    def _rewritten(self, row: list["_Piece"]) -> Iterator["_Piece"]:
        if len(row) < 2:
            return
        for start, end, placeholder in reversed(self._spans("".join(piece.value for piece in row))):
            at = 0
            touched: list[tuple[_Piece, int, int]] = []
            for piece in row:
                a, b = max(start, at), min(end, at + len(piece.original))
                if a < b:
                    touched.append((piece, a - at, b - at))
                at += len(piece.original)
            if len(touched) < 2:
                continue
            for index, (piece, a, b) in enumerate(touched):
                piece.put(piece.value[:a] + (placeholder if index == 0 else "") + piece.value[b:])
                yield piece


class _Piece:
    """One string in the JSON of one `data:` line."""

    def __init__(self, start: int, end: int, data: Any, keys: tuple[Any, ...], value: str) -> None:
        self.start, self.end, self.data, self.keys, self.original = start, end, data, keys, value
        self.value = value

    @property
    def path(self) -> str:
        return ".".join(str(key) for key in self.keys) + f"@{self.data.get('index', '')}"

    def put(self, value: str) -> None:
        self.value = value
        holder = self.data
        for key in self.keys[:-1]:
            holder = holder[key]
        holder[self.keys[-1]] = value

    def line(self) -> bytes:
        return b"data: " + msgspec.json.encode(self.data)


def _pieces(body: bytes) -> Iterator[_Piece]:
    for found in re.finditer(rb"^data: ?(\{.*\})[^\S\n]*$", body, re.MULTILINE):
        try:
            data = msgspec.json.decode(found[1])
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        for keys, value in _strings(data, ()):
            if "delta" in keys:
                yield _Piece(found.start(), found.end(), data, keys, value)


def _strings(value: Any, keys: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:
    if isinstance(value, str):
        yield keys, value
    elif isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _strings(one, (*keys, key))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _spellings(value: str) -> list[str]:
    """The value as it is, in a URL, and in JSON; the longest first."""
    forms = {value, quote(value, safe=""), msgspec.json.encode(value).decode()[1:-1]}
    return sorted(forms, key=len, reverse=True)


NOTHING_KNOWN = Scrubber()
"""Knows secrets by their shape alone."""
