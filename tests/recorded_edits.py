"""What broken clients do to a request that goes on with a conversation: named edits of its recorded body."""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from tests.recorded import Exchange, items, results, texts

Items = list[dict[str, Any]]
Edit = Callable[[Items, int], Items | None]
"""Of a request's items, and how many of them stood in the request before it; None where there is nothing to edit."""
STRANGER = "The password of Zebedee Quillfeather is xylophone-42."


def _is_said(item: Mapping[str, Any]) -> bool:
    return item.get("role") in {"user", "assistant"} and any(text.strip() for text in texts(item))


def _is_result(item: Mapping[str, Any]) -> bool:
    return bool(results({"messages": [item]}))


def _all_dropped(made: Items, known: int) -> Items | None:
    """Only the newest message is sent."""
    prompts = [i for i, item in enumerate(made) if item.get("role") == "user" and _is_said(item)]
    return [item for item in made[:-1] if item.get("role") == "system"] + made[-1:] if prompts[:-1] else None


def _first_dropped(made: Items, known: int) -> Items | None:
    """The oldest thing that was said is gone."""
    first = next((i for i, item in enumerate(made[:known]) if _is_said(item)), None)
    return None if first is None else made[:first] + made[first + 1 :]


def _answer_dropped(made: Items, known: int) -> Items | None:
    last = next((i for i in reversed(range(len(made))) if _is_answer(made[i])), None)
    return None if last is None or last < known else made[:last] + made[last + 1 :]


def _is_answer(item: Mapping[str, Any]) -> bool:
    return item.get("role") == "assistant" and _is_said(item)


def _stranger_put_in(made: Items, known: int) -> Items | None:
    return [*made[:known], {"role": "user", "content": STRANGER}, *made[known:]]


def _stranger_first(made: Items, known: int) -> Items | None:
    said = [{"role": "user", "content": STRANGER}, {"role": "assistant", "content": "I will keep that in mind."}]
    first = next(i for i, item in enumerate(made) if item.get("role") not in {"system", "developer"})
    return [*made[:first], *said, *made[first:]]


def _prompt_twice(made: Items, known: int) -> Items | None:
    last = next((i for i in reversed(range(len(made))) if made[i].get("role") == "user" and _is_said(made[i])), None)
    return None if last is None else [*made[: last + 1], made[last], *made[last + 1 :]]


def _turned_round(made: Items, known: int) -> Items | None:
    said = [i for i, item in enumerate(made) if _is_said(item)]
    if len(said) < 3:
        return None
    made[said[0]], made[said[1]] = made[said[1]], made[said[0]]
    return made


def _with_text(item: dict[str, Any], change: Callable[[str], str]) -> bool:
    """Change the first text of the item."""
    content = item.get("content", item.get("output"))
    key = "content" if "content" in item else "output"
    if isinstance(content, str) and content.strip():
        item[key] = change(content)
        return True
    for block in content or []:
        if not isinstance(block, dict):
            continue
        if isinstance(block.get("text"), str) and block["text"].strip():
            block["text"] = change(block["text"])
            return True
        if block.get("type") == "tool_result" and _with_text(block, change):
            return True
    return False


def _answer_altered(made: Items, known: int) -> Items | None:
    last = next((item for item in reversed(made) if _is_answer(item)), None)
    return made if last is not None and _with_text(last, lambda text: f"Not so. {text}") else None


def _answer_cut(made: Items, known: int) -> Items | None:
    last = next((item for item in reversed(made) if _is_answer(item)), None)
    return made if last is not None and _with_text(last, lambda text: text[: len(text) // 2].strip() or "…") else None


def _prompt_altered(made: Items, known: int) -> Items | None:
    first = next((i for i in made[:known] if i.get("role") == "user" and _is_said(i)), None)
    return made if first is not None and _with_text(first, lambda text: f"{text} Or not?") else None


def _result_replaced(made: Items, known: int) -> Items | None:
    last = next((item for item in reversed(made) if _is_result(item)), None)
    return made if last is not None and _with_text(last, lambda text: "Nobody was told this.") else None


def _result_dropped(made: Items, known: int) -> Items | None:
    for item in reversed(made):
        if not _is_result(item):
            continue
        blocks = item.get("content")
        if isinstance(blocks, list) and any(block.get("type") == "tool_result" for block in blocks):
            rest = [block for block in blocks if block.get("type") != "tool_result"]
            item["content"] = rest or [{"type": "text", "text": "Go on."}]
            return made
        return [other for other in made if other is not item]
    return None


def _results_swapped(made: Items, known: int) -> Items | None:
    holders = [block for item in made for block in _results_of(item)]
    if len(holders) < 2:
        return None
    one, other = holders[-2:]
    key = "output" if "output" in one else "content"
    if one[key] == other[key]:
        return None
    one[key], other[key] = other[key], one[key]
    return made


def _results_of(item: dict[str, Any]) -> Items:
    if item.get("role") == "tool" or item.get("type") == "function_call_output":
        return [item]
    content = item.get("content")
    return [
        block
        for block in (content if isinstance(content, list) else [])
        if isinstance(block, dict) and block.get("type") == "tool_result"
    ]


def _input_altered(made: Items, known: int) -> Items | None:
    """Another value for an argument that the model gave; more arguments would be defaults filled in."""
    for item in reversed(made):
        for holder, key in _inputs(item):
            given = json.loads(holder[key]) if isinstance(holder[key], str) else holder[key]
            if given:
                changed = dict.fromkeys(given, "elsewhere")
                holder[key] = json.dumps(changed) if isinstance(holder[key], str) else changed
                return made
    return None


def _inputs(item: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    if item.get("type") == "function_call":
        return [(item, "arguments")]
    content = item.get("content")
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    uses = [(block, "input") for block in blocks if block.get("type") == "tool_use"]
    return [*((call["function"], "arguments") for call in item.get("tool_calls") or []), *uses]


def _in_blocks(kind: str, change: Callable[[dict[str, Any]], None]) -> Edit:
    """Change the last block of a kind."""

    def edit(made: Items, known: int) -> Items | None:
        for item in reversed(made):
            content = item.get("content")
            found = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
            for block in [*found, item]:
                if block.get("type") == kind:
                    change(block)
                    return made
        return None

    return edit


def _changed(key: str) -> Callable[[dict[str, Any]], None]:
    def change(block: dict[str, Any]) -> None:
        block[key] = f"x{block.get(key)}"

    return change


def _without(kind: str) -> Edit:
    def edit(made: Items, known: int) -> Items | None:
        for item in made[:known]:
            content = item.get("content")
            if isinstance(content, list) and any(isinstance(b, dict) and b.get("type") == kind for b in content):
                item["content"] = [b for b in content if b.get("type") != kind] or "(a picture)"
                return made
        return None

    return edit


def _another_image(block: dict[str, Any]) -> None:
    if "image_url" in block:
        block["image_url"] = {"url": "data:image/png;base64,AAAA"} if isinstance(block["image_url"], dict) else "data:,"
    else:
        block["source"] = {"type": "base64", "media_type": "image/png", "data": "AAAA"}


EDITS: Mapping[str, Edit] = {
    "all history is dropped": _all_dropped,
    "the first message is dropped": _first_dropped,
    "the last answer is dropped": _answer_dropped,
    "a stranger's message is put in": _stranger_put_in,
    "a stranger's conversation stands before it": _stranger_first,
    "the prompt stands twice": _prompt_twice,
    "two messages change places": _turned_round,
    "the answer is altered": _answer_altered,
    "half of the answer is lost": _answer_cut,
    "an earlier prompt is altered": _prompt_altered,
    "a tool result is replaced": _result_replaced,
    "a tool result is dropped": _result_dropped,
    "two tool results are swapped": _results_swapped,
    "the input of a tool use is altered": _input_altered,
    "thinking is altered": _in_blocks("thinking", _changed("thinking")),
    "the signature of thinking is altered": _in_blocks("thinking", _changed("signature")),
    "redacted thinking is altered": _in_blocks("redacted_thinking", _changed("data")),
    "encrypted reasoning is altered": _in_blocks("reasoning", _changed("encrypted_content")),
    "a compaction is altered": _in_blocks("compaction", _changed("content")),
    "an image is another one": _in_blocks("image", _another_image),
    "an image of chat is another one": _in_blocks("image_url", _another_image),
    "an image of responses is another one": _in_blocks("input_image", _another_image),
    "an image is gone": _without("image"),
}


def edited(one: Exchange, known: int, edit: Edit) -> dict[str, Any] | None:
    """The body with the edit, None where there is nothing to edit; `known`: how many items stood there before."""
    made = edit(deepcopy(items(one.sent)), known)
    if made is None or made == items(one.sent):
        return None
    return {**one.sent, ("messages" if "messages" in one.sent else "input"): made}
