"""Secrets that what stands around them tells: private keys, passwords, what a name or a scheme stands before."""

import base64
import binascii
import re
from collections.abc import Iterator

from convtest.cassettes.dummies import is_dummy, repeats
from convtest.cassettes.rules import Finds, Named, Rule
from convtest.wire.marks import PLACEHOLDER

_PEM = (
    r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----(?=[\s\S]{0,300}?[A-Za-z0-9+/=]{40})"
    r"(?:[\s\S]{0,20000}?-----END [A-Z0-9 ]{1,60}-----|(?:\s{0,8}[A-Za-z0-9+/=]{16,}){1,400})"
)
_PUTTY = r"PuTTY-User-Key-File-\d: [\s\S]{0,20000}?Private-(?:MAC|Hash): [0-9a-f]{40,}"
_BASIC = r"\b[Bb]asic ([A-Za-z0-9+/_-]{6,}={0,2})"
_IN_URL = r"://[^\s/:@\"'<>`]{0,80}:([^\s/@\"'<>`]{3,200})@(?=[\w\[])"
_QUERY = (
    r"[?&;](?:[\w-]{0,20}(?:key|token|secret|password|passwd)|auth|sig|X-(?:Amz|Goog)-(?:Signature|Credential))"
    r"=([^&\s\"'<>#;]{12,})"
)
SET = r"[\"'`]?\s{0,3}(?::=|=>|[:=])\s{0,3}[\"'`]?"
"""What stands between a name and its value."""
PASSWORDS = r"(?i:password|passwd|passphrase)"
NAMES = (
    r"(?i:api[_-]?key|apikey|access[_-]?key|private[_-]?key|auth[_-]?key|secret(?:[_-]?(?:access[_-]?)?key)?"
    r"|token|credentials?)"
)
_PASSWORD = rf"{PASSWORDS}{SET}([^\s\"'`,;<>(){{}}\[\]]{{6,120}})"
_NAMED = rf"{NAMES}(?:{SET}|[\"'`]?\s{{1,3}}is\s{{1,3}}[\"'`]?)([A-Za-z0-9_+/=.~-]{{16,}})"
_PIECES = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
"""Of attributes: `settings.db2.password`."""
_PIECE = 3
"""Letters of a piece, on average: names that people give have longer ones, what was made by chance has shorter."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def by_context() -> Iterator[Finds]:
    """Private keys first: what they hold is a part of them."""
    bearer = r"(?<=[Bb]earer )(?=[A-Za-z._~+/-]*\d)[A-Za-z0-9._~+/-]{16,}=*"
    asked = r"\bcurl\b[^\n]{0,300}?\s(?:-u|--user)[ =]?[\"']?[^\s:\"']{1,80}:([^\s\"']{3,120})"
    letters = ("assw", "ASSW", "assphrase", "ASSPHRASE")
    key, password = f"{PLACEHOLDER}_PRIVATE_KEY", f"{PLACEHOLDER}_PASSWORD"
    uuid = r'(?<="organization_uuid":")[0-9a-f-]{36}'
    yield Rule(_PEM, key, ("PRIVATE KEY",))
    yield Rule(_PUTTY, key, ("PuTTY-User-Key",))
    yield Rule(bearer, f"{PLACEHOLDER}_TOKEN", ("earer ",), accepts=is_made)
    yield Rule(uuid, f"{PLACEHOLDER}_ORGANISATION", ("organization_uuid",))
    yield Rule(_BASIC, password, ("asic ",), accepts=_is_basic, group=1)
    yield Rule(_IN_URL, password, ("://",), accepts=_not_a_dummy, group=1)
    yield Rule(asked, password, ("curl",), accepts=_not_a_dummy, group=1)
    yield Rule(_PASSWORD, password, letters, accepts=_is_password, group=1)


def by_name() -> Iterator[Finds]:
    """What stands after `api_key=` and the like, or in a query."""
    for pattern in (_QUERY, _NAMED):
        yield Named(Rule(pattern, f"{PLACEHOLDER}_KEY", accepts=_is_made_by_chance, group=1), before=40)


def is_made(value: str) -> bool:
    """Neither out of a manual, nor one letter over and over."""
    return not repeats(value) and "EXAMPLE" not in value


def _not_a_dummy(value: str) -> bool:
    return not is_dummy(value)


def _is_basic(value: str) -> bool:
    """`Basic Authentication` is none."""
    try:
        told = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_").decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    name, colon, password = told.partition(":")
    return bool(colon) and told.isprintable() and not is_dummy(password or name)


def _is_password(value: str) -> bool:
    """`password: string` and `password=getpass` are none."""
    wild = any(one.isdigit() or one in "!@#^&?~" for one in value)
    return wild and any(map(str.isalpha, value)) and not is_dummy(value) and not _PATH.fullmatch(value)


def _is_made_by_chance(value: str) -> bool:
    """Letters and digits in a wild order; `generateToken2` and ids that tell what they are have longer words."""
    if not any(one.isdigit() for one in value) or is_dummy(value) or _UUID.fullmatch(value):
        return False
    pieces = _PIECES.findall(value)
    return len(value) >= 16 and len(pieces) > 4 and sum(map(len, pieces)) < _PIECE * len(pieces)
