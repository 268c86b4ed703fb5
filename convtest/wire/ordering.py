"""The order of what has none: results of tools that ran at once."""

from itertools import groupby
from typing import Any


def in_order_of_uses(blocks: Any) -> Any:
    """Results side by side in the order of their tool uses, by which ids were numbered: each has its id, and tools that
    ran at once come back in any order."""
    if not isinstance(blocks, list) or sum(map(_is_result, blocks)) < 2:
        return blocks
    runs = (list(run) for _, run in groupby(blocks, _is_result))
    return [block for run in runs for block in (sorted(run, key=_number) if _is_result(run[0]) else run)]


def _is_result(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "tool_result"


def _number(result: dict[str, Any]) -> tuple[int, str]:
    id = str(result.get("tool_use_id"))
    return len(id), id
