"""Names of files and items: slugs, rows, and where cassettes and snapshots stand."""

import hashlib
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

MAX_NAME_BYTES = 80
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
"""No file can be called so on Windows."""


def slug(title: str) -> str:
    """A title as a file name: lower case, letters and digits, words joined by `-`."""
    text = unicodedata.normalize("NFC", title).lower()
    return safe_name("-".join(re.findall(r"[^\W_]+", text)) or "scenario")


def safe_name(text: str) -> str:
    """Letters, digits and `._-`; anything else `-`, with six hex digits of a hash where that changed something, or no
    file can be called so."""
    text = unicodedata.normalize("NFC", text)
    safe = "".join(c if c.isalnum() or c in "._-" else "-" for c in text)
    if safe.strip(".") == "":
        safe = "-"
    if len(safe.encode()) > MAX_NAME_BYTES:
        safe = safe.encode()[: MAX_NAME_BYTES - 7].decode(errors="ignore")
    return safe if safe == text and not _RESERVED.fullmatch(text) else _hashed(safe, text)


def row_names(rows: Sequence[str]) -> list[str]:
    """File names for rows, distinct even where a file system ignores case."""
    names = [safe_name(row) if row else "" for row in rows]
    folded = Counter(name.casefold() for name in names)
    return [_hashed(name, row) if folded[name.casefold()] > 1 else name for name, row in zip(names, rows, strict=True)]


def _hashed(name: str, text: str) -> str:
    suffix = "-" + hashlib.sha256(text.encode()).hexdigest()[:6]
    return name if name.endswith(suffix) else name + suffix


def product(params: dict[str, list[object]]) -> list[dict[str, object]]:
    """Every combination of the lists, the last one changing fastest."""
    names = list(params)
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*params.values())]
