"""What the real SDK and its CLI were measured to do."""

from collections.abc import Mapping
from typing import Any, Literal

from convtest.policy import Policy


def policy_of(options: Mapping[str, Any]) -> Policy:
    """As measured. A one-shot that is given up has not written its partial text down."""
    kept: Literal["yielded", "dropped"] = "dropped" if options.get("mode") == "query" else "yielded"
    # With `settle = 0` a kill does not wait until the prompt is written down.
    killed: Literal["kept", "either"] = "either" if options.get("settle") == 0 else "kept"
    return Policy(
        interrupted_prompt="kept",
        early_interrupt="either" if options.get("mode") == "query" else "missed",
        partial_text=kept,
        killed_prompt=killed,
        cleared="gone",
        cleared_id="new",
        broken_tools="run",
        restarted_text="doubled",
        said="exact",
        unsent=("/",),
    )
