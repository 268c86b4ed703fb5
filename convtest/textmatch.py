"""Finding a value in text: whole tokens, case and width folded, grouped digits as one number. Where a script has no
word boundaries, each of its letters is a token, so that a value is found anywhere in a run of them; Korean particles
stand on the word before them."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from convtest.structs import Struct

_BETWEEN = r"[,\u00a0\u202f'’ ]"
_GROUPED = rf"\d{{1,3}}(?:{_BETWEEN}\d{{3}})+(?!\d)(?:\.\d+)?"
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_AROUND = 60
"""Characters shown before and after a first difference."""
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Myanmar, Khmer
    "\u2e80-\u2fdf\u3005-\u3007\u3031-\u3035\u3040-\u30ff\u31f0-\u31ff"  # kana, and signs beside Han characters
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Letters of scripts that are written without spaces between words."""
_MARKS = "\u0300-\u036f\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f"
"""What is written over, under or beside the letter before it, and is no letter itself."""
_LETTER = rf"(?:(?![{_UNSPACED}])[^\W\d_]|[{_MARKS}])"
_TOKEN = re.compile(
    rf"{_GROUPED}|\d+(?:[.,]\d+)*|(?![\d_])[{_UNSPACED}]|{_LETTER}+(?:['’]{_LETTER}+)*|(?:(?![{_UNSPACED}])\w)+"
)


_PARTICLE = (
    "은|는|이|가|을|를|의|도|이나|이?라도|이며|이고|이야|이?라고|이?라는"
    "|(?:에|에서|에게|에게서|한테|한테서|께|께서|으?로|으?로서|으?로써|와|과|하고|이?랑|부터|까지|처럼|보다|마다|조차|마저|밖에|만)"
    "(?:은|는|도|만|의)?"
    "|이?에요|예요|이요|입니다|이다|(?:이었|였)(?:습니다|어요|다|고|는데)|이?지만|인데"
)
"""What Korean writes onto a noun: particles of case, and forms of "is"."""


class Token(Struct, frozen=True):
    text: str
    start: int
    end: int


@lru_cache(maxsize=4096)
def folded(text: str) -> str:
    """NFKC, case folded, white space collapsed."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@lru_cache(maxsize=4096)
def tokens(text: str) -> tuple[Token, ...]:
    """Words and numbers of the folded text; `8,856` is the number 8856, `3.5` is one number."""
    return tuple(_tokens(folded(text)))


def _tokens(text: str) -> Iterator[Token]:
    for found in _TOKEN.finditer(text):
        word = found[0]
        if re.fullmatch(_GROUPED, word):
            word = re.sub(_BETWEEN, "", word)
        yield Token(word.replace("’", "'"), found.start(), found.end())


def find_value(text: str, value: str) -> list[tuple[int, int]]:
    """Where the value stands in the folded text, as whole tokens."""
    wanted = [token.text for token in tokens(value)]
    if not wanted:
        return []
    have = tokens(text)
    size = len(wanted)
    return [
        (have[i].start, have[i + size - 1].end)
        for i in range(len(have) - size + 1)
        if _same(have[i : i + size], wanted)
    ]


def _same(have: tuple[Token, ...], wanted: list[str]) -> bool:
    last = len(wanted) - 1
    return all(
        token.text == word or (i == last and token.text.startswith(word) and _is_ending(token.text[len(word) :]))
        for i, (token, word) in enumerate(zip(have, wanted, strict=True))
    )


def _is_ending(rest: str) -> bool:
    """Whether a word and this are the same word, in its place in the sentence."""
    return rest == "'s" or re.fullmatch(_PARTICLE, rest) is not None


def contains_value(text: str, value: str) -> bool:
    return bool(find_value(text, value))


@lru_cache(maxsize=4096)
def sentences(text: str) -> tuple[str, ...]:
    """Whole sentences, folded; a decimal point ends none."""
    parts = re.split(r"(?<=[.!?…])\s+|\n+", text)
    return tuple(done for part in parts if (done := folded(part)))


def visible(text: str) -> str:
    """With control characters, and those that turn the direction of writing, as escapes; line ends and tabs stay."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def cut(text: str, most: int) -> str:
    """The text, or as much of it as `most` characters show."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def apart(expected: str, seen: str) -> tuple[str, str]:
    """Two texts that are not equal, each around their first difference, with its position."""
    at = next((i for i, (a, b) in enumerate(zip(expected, seen, strict=False)) if a != b), None)
    at = min(len(expected), len(seen)) if at is None else at
    start = max(0, at - _AROUND)

    def part(text: str) -> str:
        cut = text[start : at + _AROUND]
        whole = f"{'…' if start else ''}{cut}{'…' if at + _AROUND < len(text) else ''}"
        return f"{whole!r} ({len(text)} characters, the first other one is number {at + 1})"

    return part(expected), part(seen)
