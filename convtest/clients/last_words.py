"""What the output of a program says of its end."""

import re
from collections.abc import Iterable, Sequence

_NAMED = re.compile(r"^[\s|]*(?:Uncaught )?(?:[\w.$]*(?:Error|Exception)\b.*:|panic: |thread .* panicked|Fatal )")
_SPOKEN = re.compile(r"\b(?:error|fatal|panic|critical)\b", re.IGNORECASE)
_AROUND = " |+-"
"""What frames lines in the traces of exception groups."""
_LAST = 5
"""Lines that are shown of a program that has ended."""


def first_error(output: Iterable[str]) -> str:
    """The first line that tells of an error; else the last line; empty where nothing was said."""
    lines = [shown for one in output if (shown := one.strip().lstrip(_AROUND))]
    named = [one for one in lines if _NAMED.search(one)] or [one for one in lines if _SPOKEN.search(one)]
    return next(iter(named), lines[-1] if lines else "")


def last_words(output: str) -> Sequence[str]:
    """The last lines; before them the last that names an error, where it stands higher up, as above Node's traces."""
    lines = output.strip().splitlines()
    named = [one.strip() for one in lines if _NAMED.search(one)]
    shown = lines[-_LAST:]
    return shown if not named or any(_NAMED.search(one) for one in shown) else [named[-1], "…", *shown]
