"""Which JSON stands where in a request: the first thing of another kind, in the words of the APIs."""

from collections.abc import Iterator
from typing import Any

_NAMES = {str: "string", int: "integer", bool: "boolean", list: "list", dict: "dictionary"}


def wrong(value: Any, *kinds: type, at: str) -> Iterator[str]:
    """The problem of a value that is of none of these kinds."""
    if not isinstance(value, kinds):
        yield f"{at}: Input should be a valid {' or '.join(_NAMES[kind] for kind in kinds)}"


def optional(value: Any, *kinds: type, at: str) -> Iterator[str]:
    """The same, for what may be missing or null."""
    if value is not None:
        yield from wrong(value, *kinds, at=at)


def entries(value: Any, at: str, *, after: int = 0) -> Iterator[str]:
    """A list of objects, or nothing; the first `after` of them are known to be."""
    yield from optional(value, list, at=at)
    for index, one in enumerate((value or [])[after:], after):
        yield from wrong(one, dict, at=f"{at}.{index}")


def content(value: Any, at: str) -> Iterator[str]:
    """A text, or a list of blocks, or nothing."""
    yield from optional(value, str, list, at=at)
    for index, block in enumerate(value if isinstance(value, list) else []):
        yield from wrong(block, dict, at=f"{at}.{index}")
        yield from _block(block, f"{at}.{index}")


def _block(block: dict[str, Any], at: str) -> Iterator[str]:
    yield from wrong(block.get("type"), str, at=f"{at}.type")
    if block["type"] == "text":
        yield from wrong(block.get("text"), str, at=f"{at}.text")
    elif block["type"] == "tool_use":
        yield from wrong(block.get("id"), str, at=f"{at}.id")
        yield from wrong(block.get("name"), str, at=f"{at}.name")
        yield from wrong(block.get("input"), dict, at=f"{at}.input")
    elif block["type"] == "tool_result":
        yield from wrong(block.get("tool_use_id"), str, at=f"{at}.tool_use_id")
        yield from content(block.get("content"), f"{at}.content")


def tools(value: Any) -> Iterator[str]:
    """Tools as either API declares them."""
    yield from entries(value, "tools")
    for index, tool in enumerate(value or []):
        yield from optional(tool.get("name"), str, at=f"tools.{index}.name")
        yield from optional(tool.get("function"), dict, at=f"tools.{index}.function")
        name = (tool.get("function") or {}).get("name")
        yield from optional(name, str, at=f"tools.{index}.function.name")
