"""What is a secret: keys and tokens by their shape, accounts, organisations, projects, home folders."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import msgspec

from convtest.wire.marks import HOME, ITEM, PLACEHOLDER, SESSION_FILE

_MIXED = r"(?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[A-Z])"
"""A digit and a capital: names that people give have seldom both, `sk-fading-circle` has neither."""
SHAPES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "KEY": (
        rf"\bsk-{_MIXED}[A-Za-z0-9_-]{{16,}}|\bsk-(?:[a-z0-9]+-)*[0-9a-f]{{24,}}"  # noqa: ISC004  one pattern on three lines
        r"|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,}"
        r"|\bxox[abposr]-(?=[A-Za-z-]*\d)[A-Za-z0-9-]{16,}|\bAIza[0-9A-Za-z_-]{30,}|\bhf_[A-Za-z0-9]{30,}",
        ("sk-", "AKIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "xox", "AIza", "hf_"),
    ),
    "TOKEN": (
        r"(?<=Bearer )(?=[A-Za-z._~+/-]*\d)[A-Za-z0-9._~+/-]{16,}=*"  # noqa: ISC004
        r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
        ("Bearer ", "eyJ"),
    ),
    "ORGANISATION": (
        rf"\borg-{_MIXED}[A-Za-z0-9]{{16,}}|(?<=\"organization_uuid\":\")[0-9a-f-]{{36}}",
        ("org-", "organization_uuid"),
    ),
    "PROJECT": (rf"\bproj_{_MIXED}[A-Za-z0-9]{{16,}}", ("proj_",)),
    "ACCOUNT": (
        rf"\b(?:acct|user)_{_MIXED}[A-Za-z0-9]{{16,}}|(?<=account_)[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}",
        ("acct_", "user_", "account_"),
    ),
}
"""Secrets known by their shape, each with the letters one of which it must hold: looking for those is far cheaper."""

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
BEGUN = re.compile(
    r"(?:\bsk-[\w-]*|\bAKIA[0-9A-Z]*|\bgh[pousr]_\w*|\bgithub_pat_\w*|\bxox[abposr]-[\w-]*|\bAIza[\w-]*|\bhf_\w*"
    r"|(?<=Bearer )[\w.~+/-]+=*|\beyJ[\w.-]*|\borg-\w*|\bproj_\w*|\b(?:acct|user)_\w*|(?<=account_)[0-9a-f-]+"
    r"|(?<![\w./-])(?:/home/|/Users/|[A-Z]:\\\\?Users\\\\?)[\w.-]*)\Z"
)
"""What may be the beginning of one of them, at the end of a text that broke off."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What to look for, and of which kind it is."""

    pattern: "re.Pattern[str]"
    kind: str
    letters: tuple[str, ...] = ()
    """Where none of these stand, neither does the pattern; empty where that is not known."""
    value: str | None = None
    """What it finds, however it is spelled there; None where each spelling is a value of its own."""

    def may_be_in(self, text: str) -> bool:
        return not self.letters or any(letters in text for letters in self.letters)


def by_value(name: str, value: str) -> Rule:
    """A value that is known, as it is, in a URL, and in JSON."""
    forms = spellings(value)
    return Rule(re.compile("|".join(map(re.escape, forms))), f"{PLACEHOLDER}_{name}", forms, value)


def by_shape() -> list[Rule]:
    return [Rule(re.compile(shape), f"{PLACEHOLDER}_{kind}", has) for kind, (shape, has) in SHAPES.items()]


def homes() -> list[Rule]:
    """Home folders: this user's, and what looks like somebody's."""
    mine = str(Path.home())
    own = Rule(re.compile(rf"{_BEFORE}{re.escape(mine)}{_ENDS}"), HOME, (mine,))
    return [own, Rule(re.compile(_HOMES), HOME, _HOME_LETTERS)]


def of_the_item(folder: Path) -> list[Rule]:
    """The item's own folder, and the files of its sessions that Claude Code keeps in it."""
    spelled = str(folder)
    sessions = rf"{re.escape(spelled)}/home/\.claude/projects/[\w./-]+\.jsonl"
    return [
        Rule(re.compile(sessions), SESSION_FILE, (spelled,)),
        Rule(re.compile(re.escape(spelled)), ITEM, (spelled,), spelled),
    ]


def spellings(value: str) -> tuple[str, ...]:
    """The value as it is, in a URL, and in JSON; the longest first."""
    forms = {value, quote(value, safe=""), msgspec.json.encode(value).decode()[1:-1]}
    return tuple(sorted(forms, key=len, reverse=True))
