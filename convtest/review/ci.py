"""Whether this is a run that nobody looks at."""

import os
from collections.abc import Mapping

_NAMES = ("CI", "BUILD_NUMBER", "GITHUB_ACTIONS")
"""The first two are pytest's: https://docs.pytest.org/en/stable/explanation/ci.html"""


def in_ci(environ: Mapping[str, str] = os.environ) -> bool:
    """There nothing is kept for review, and nothing is accepted."""
    return any(environ.get(name) for name in _NAMES)
