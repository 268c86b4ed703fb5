"""What is a secret: values that are known, keys by their shape, home folders; what is only the beginning of one."""

import base64
import re
from functools import cache
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

import msgspec

from convtest.cassettes.contexts import NAMES, PASSWORDS, SET
from convtest.cassettes.rules import Finds, InWords, Rule
from convtest.cassettes.shapes import beginnings
from convtest.wire.marks import HOME, ITEM, PLACEHOLDER, SESSION_FILE

_ENDS = r"(?=[/\\\"'\s:,;.)%&]|$)"
_OWNER = r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*"
_PERSON = r"(?=[A-Za-z]*[0-9._-])" + _OWNER
"""A name with more than letters in it: `/home/settings` may be a page as well as somebody's folder."""
_INSIDE = r"(?=/(?:\.\w|(?:Desktop|Documents|Downloads|Library|projects?|repos?|src|code|dev|work|workspace|git)\b))"
_BEFORE = r"(?<![\w./-])"
_HOMES = "|".join(
    [
        rf"{_BEFORE}(?:/Users/|%2[Ff]Users%2[Ff]|[A-Z]:\\\\?Users\\\\?){_OWNER}{_ENDS}",
        rf"{_BEFORE}(?:/home/|%2[Ff]home%2[Ff])(?:{_PERSON}{_ENDS}|{_OWNER}{_INSIDE})",
    ]
)
_HOME_LETTERS = ("/home/", "/Users/", "%2Fhome", "%2fhome", "%2FUsers", "%2fUsers", ":\\Users", ":\\\\Users")

_BLANK = r"(?:\s|\\{1,3}[nr])"


_WILD = r"(?=\S{0,60}(?:\d|[a-z][A-Z]))"
"""No word that people write."""
_LAST = 8000
"""Letters at the end of a text that are looked at."""


def begins(text: str) -> int | None:
    """Where, at the end of a text that broke off, what may be the beginning of a secret begins."""
    start = max(0, len(text) - _LAST)
    found = _begun().search(text, start)
    return None if found is None else max(found.start(), *(found.start(name) for name in ("named", "password")))


@cache
def _begun() -> "re.Pattern[str]":
    starts, plain = ("|".join(map(re.escape, beginnings(plain=which))) for which in (False, True))
    return re.compile(
        rf"(?:(?:(?<![A-Za-z0-9_])|(?<=\\[nrt]))(?:(?:{starts})|(?:{plain}){_WILD})[\w.~+/%=-]*"
        r"|(?<=[Bb]earer )[\w.~+/-]+=*|(?<=account_)[0-9a-f-]+"
        rf"|(?<=[Bb]asic ){_WILD}[\w+/-]+=*|\b\d{{8,10}}:AA[\w-]*"
        r"|\b[A-Za-z0-9]{14}\.atlasv1\.[\w=-]*|(?<![\w.~-])[\w.~-]{3}\dQ~[\w.~-]*"
        r"|-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-{0,5}"
        rf"(?:{_BLANK}{{1,8}}(?:[\w-]{{1,20}}: [^\n]{{1,100}}|[A-Za-z0-9+/=]{{16,100}}))*+"
        rf"{_BLANK}*[A-Za-z0-9+/=-]{{0,100}}"
        r"|://[\w.%+-]{1,80}:(?!\d{1,5}\Z)[^\s/@\"'<>]+"
        rf"|{NAMES}{SET}{_WILD}(?P<named>[\w+/=.~-]+)|{PASSWORDS}{SET}{_WILD}(?P<password>[^\s\"'`,;<>]+)"
        r"|(?<![\w./-])(?:/home/|/Users/|[A-Z]:\\\\?Users\\\\?)[\w.-]*)\Z"
    )


def by_value(name: str, value: str) -> list[Finds]:
    """A value that is known, as it is, in a URL, and in JSON; and in base64 and hex, alone or within more of it."""
    forms = spellings(value)
    kind = f"{PLACEHOLDER}_{name}"
    base, hexed = in_base64(value), in_hex(value)
    return [
        Rule("|".join(map(re.escape, forms)), kind, forms, value),
        InWords(Rule("|".join(base.values()), f"{kind}_BASE64", tuple(base))),
        InWords(Rule("|".join(hexed), f"{kind}_HEX", hexed)),
    ]


def homes() -> list[Finds]:
    """Home folders: this user's, and what looks like somebody's."""
    mine = str(Path.home())
    own = Rule(rf"{_BEFORE}{re.escape(mine)}{_ENDS}", HOME, (mine,), plain=_plain)
    return [own, Rule(_HOMES, HOME, _HOME_LETTERS, plain=_plain)]


def _plain(text: str) -> str:
    """A home folder as it is, where it stands in a URL or in JSON."""
    return unquote(text).replace("\\\\", "\\")


def of_the_item(folder: Path) -> list[Finds]:
    """The item's own folder, and the files of its sessions that Claude Code keeps in it."""
    spelled = str(folder)
    sessions = rf"{re.escape(spelled)}/home/\.claude/projects/[\w./-]+\.jsonl"
    return [
        Rule(sessions, SESSION_FILE, (spelled,)),
        Rule(re.escape(spelled), ITEM, (spelled,), spelled),
    ]


def spellings(value: str) -> tuple[str, ...]:
    """The value as it is, in a URL, and in JSON; the longest first."""
    quoted = {quote(value, safe=""), quote(value), quote_plus(value)}
    lowered = {re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), one) for one in quoted}
    forms = {value, *quoted, *lowered, msgspec.json.encode(value).decode()[1:-1]}
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def in_base64(value: str) -> dict[str, str]:
    """What base64 of the value has in common wherever the value stands in what was encoded, and the pattern of it with
    the letters at its ends that are the neighbours' too."""
    data = value.encode("utf-8", "surrogatepass")
    found = {}
    for before in range(3):
        made = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        whole = made[(8 * before + 5) // 6 : (8 * (before + len(data))) // 6]
        first, last = "[A-Za-z0-9+/_-]" * (before > 0), "[A-Za-z0-9+/_-]?" * (8 * (before + len(data)) % 6 > 0)
        for form in (whole, whole.replace("+", "-").replace("/", "_")):
            found[form] = f"{first}{re.escape(form)}{last}={{0,2}}"
    return found


def in_hex(value: str) -> tuple[str, ...]:
    data = value.encode("utf-8", "surrogatepass").hex()
    return tuple(sorted({data, data.upper()}))
