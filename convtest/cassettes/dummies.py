"""What stands in the place of a secret and is none: `sk-test`, `YOUR_API_KEY`, `xxxxxxxx`, a placeholder."""

import re

_WORDS = frozenset(
    "absent admin anonymous anything api app bar basic baz bearer blank bogus censored change changeme demo dev "
    "dummy empty example fake field filtered foo foobar guest here hidden insert invalid is key local localhost "
    "masked me mock mongo my mysql na no none nope not null omitted pass passwd password placeholder postgres "
    "private rabbitmq redact redacted redis removed replace replaceme root sample sanitized scrub scrubbed secret "
    "session set sk stub test testing the token undefined unset unused user username value with xxx your".split()
)
_SAID = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_SAME = re.compile(r"([A-Za-z0-9*])\1{7,}", re.IGNORECASE)
_DIGITS = 4
"""Digits that a value of plain words may hold, as in `test-key-1`."""
_VARIABLE = re.compile(
    r"\$\{\w+\}|\$[A-Z_]+\b|\{\{?[\w.\s]*\}?\}|<[^<>]*>|%s|%\(\w+\)s"
    r"|\[[\w\s]*\]|\*+|\.{3}|…"
)


def is_dummy(value: str) -> bool:
    """Whether nobody takes it for a secret: words that say so and nothing else, a variable, one letter over and over.
    `dummy` beside what looks like a key does not make that a dummy."""
    if not value.strip() or repeats(value) or "EXAMPLE" in value:
        return True
    left = _VARIABLE.sub(" ", value)
    if sum(letter.isdigit() for letter in left) > _DIGITS:
        return False
    return all(word.lower() in _WORDS or set(word.lower()) == {"x"} for word in _SAID.findall(left))


def repeats(value: str) -> bool:
    """One letter over and over, as nothing that was made by chance has it."""
    return any(2 * len(found[0]) >= len(value) for found in _SAME.finditer(value))
