"""Which values of the environment are secrets."""

import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

MIN_LETTERS = 12
"""A shorter value is not scrubbed by value: it would blank out ordinary words."""
_SECRET_NAME = re.compile(r"(API_?KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|_KEY|_PAT)S?$")
_PASSWORD = re.compile(r"://[^\s/:@]*:([^\s/@]+)@")
"""In the address of a database or a proxy."""
_PLAIN_WORD = re.compile(r"[a-z]+|[A-Z][a-z]+|[A-Z]+|[0-9]+")


def secret_values(names: Iterable[str], environ: Mapping[str, str] | None = None) -> tuple[dict[str, str], list[str]]:
    """(value by name) of what the environment holds under these names and under names that say secret, and of passwords
    in addresses; and the names whose values are too short or too plain to be looked for."""
    environ = os.environ if environ is None else environ
    wanted = {*names, *(name for name in environ if _SECRET_NAME.search(name.upper()))}
    found = {name: value for name in sorted(wanted) if (value := environ.get(name, "").strip())}
    for name, address in sorted(environ.items()):
        if name not in found and (password := _PASSWORD.search(address)):
            found[name] = unquote(password[1])
    plain = [name for name, value in found.items() if len(value) < MIN_LETTERS or _PLAIN_WORD.fullmatch(value)]
    return {name: value for name, value in found.items() if name not in plain}, [n for n in plain if n in set(names)]
