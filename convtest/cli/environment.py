"""What a bug report needs: versions of everything that may matter, and nothing that is anybody's business."""

import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version

from convtest.clients.prices import AS_OF, SOURCE
from convtest.config import Config
from convtest.scenario.nodes import with_libyaml
from convtest.version import VERSION

_BESIDE = ("anthropic", "openai", "pytest-xdist", "trio")
"""What convtest meets without asking for it."""


def facts(config: Config | None) -> dict[str, str]:
    """By name, in the order of importance. Of the project only the kinds of its clients are told."""
    found = {
        "convtest": VERSION,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "yaml": "libyaml" if with_libyaml() else "without libyaml: scenarios are parsed by ruamel.yaml",
        "prices": f"as of {AS_OF}, from {SOURCE}",
    }
    found |= {name: _version(name) for name in [*_required(), *_BESIDE]}
    if config is not None:
        kinds = sorted({profile.kind for profile in config.clients.values()})
        found["kinds of clients"] = ", ".join(kinds) or "none"
    return found


def _required() -> list[str]:
    """The names of the dependencies, extras included but for what only developers need."""
    named = [one for one in requires("convtest") or [] if not one.rstrip().endswith(("'dev'", '"dev"'))]
    names = [match[0] for one in named if (match := re.match(r"[A-Za-z0-9._-]+", one))]
    return sorted(dict.fromkeys(names), key=str.lower)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
