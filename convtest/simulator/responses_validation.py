"""What the Responses API refuses, in its words.

Source: https://platform.openai.com/docs/api-reference/responses/create and the error texts the API answers with.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

_KNOWN = frozenset(
    {
        "background", "context_management", "conversation", "include", "input", "instructions", "max_output_tokens",
        "max_tool_calls", "metadata", "model", "moderation", "parallel_tool_calls", "previous_response_id", "prompt",
        "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning", "safety_identifier",
        "service_tier", "store", "stream", "stream_options", "temperature", "text", "tool_choice", "tools",
        "top_logprobs", "top_p", "truncation", "user",
    }
)  # fmt: skip
_ROLES = ("assistant", "system", "developer", "user")
_SAID = ("output_text", "refusal")
_GIVEN = ("input_text", "input_image", "input_file", "input_audio")
_PREFIXES = {"message": "msg", "function_call": "fc", "reasoning": "rs"}
_LEAST = 16
_WORDS: Mapping[type, str] = {
    str: "a string", bool: "a boolean", int: "an integer", float: "a decimal", list: "an array", dict: "an object",
    type(None): "null",
}  # fmt: skip


class Refusal(str):
    """The message of an error, with the fields that stand beside it."""

    param: str | None = None
    code: str | None = None
    status: int = 400

    @classmethod
    def of(cls, message: str, param: str | None = None, code: str | None = None, status: int = 400) -> "Refusal":
        made = cls(message)
        made.param, made.code, made.status = param, code, status
        return made


def refusal(problem: str) -> bytes:
    """An error in the API's shape."""
    param, code = getattr(problem, "param", None), getattr(problem, "code", None)
    error = {"message": str(problem), "type": "invalid_request_error", "param": param, "code": code}
    return msgspec.json.encode({"error": error})


def shape_problem(body: Mapping[str, Any]) -> Refusal | None:
    """The first thing in a request that the API would not take, whatever it has kept; or None."""
    return next(_problems(body), None)


def item_problem(items: Any, at: str) -> Refusal | None:
    """The first thing that is wrong with the items of a list of this name, or None."""
    return next(_items(items, at), None)


def pair_problem(items: Sequence[Mapping[str, Any]]) -> Refusal | None:
    """The first call or result that stands alone in all that the model is to read, or None."""
    calls = [one.get("call_id") for one in items if one.get("type") == "function_call"]
    results = [one.get("call_id") for one in items if one.get("type") == "function_call_output"]
    for id in results:
        if id not in calls:
            return Refusal.of(f"No tool call found for function call output with call_id {id}.", "input")
    for id in calls:
        if id not in results:
            return Refusal.of(f"No tool output found for function call {id}.", "input")
    return _reasoning_problem(items)


def _reasoning_problem(items: Sequence[Mapping[str, Any]]) -> Refusal | None:
    for one, after in zip(items, [*items[1:], {}], strict=True):
        follows = after.get("type", "message") in {"message", "function_call", "reasoning"} and bool(after)
        if one.get("type") == "reasoning" and not (follows and after.get("role") != "user"):
            what = f"Item '{one.get('id')}' of type 'reasoning' was provided without its required following item."
            return Refusal.of(what, "input")
    return None


def _problems(body: Mapping[str, Any]) -> Iterator[Refusal]:
    for name in body:
        if name not in _KNOWN:
            yield Refusal.of(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    if body.get("model") is None:
        yield _missing("model")
    yield from _wrong(body["model"], "model", str)
    if all(body.get(name) is None for name in ("input", "previous_response_id", "prompt", "conversation")):
        what = "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided."
        yield Refusal.of(what, "input", "missing_required_parameter")
    if body.get("previous_response_id") is not None and body.get("conversation") is not None:
        what = (
            "Mutually exclusive parameters. Ensure you are only providing one of: "
            "'previous_response_id' or 'conversation'."
        )
        yield Refusal.of(what, None, "mutually_exclusive_parameters")
    yield from _settings(body)
    given = body.get("input")
    if isinstance(given, list):
        yield from _items(given, "input")
    elif given is not None:
        yield from _wrong(given, "input", str, words="one of an array of objects or string")


def _settings(body: Mapping[str, Any]) -> Iterator[Refusal]:
    kinds: Mapping[str, tuple[type, ...]] = {
        "instructions": (str,), "previous_response_id": (str,), "stream": (bool,), "store": (bool,), "tools": (list,),
        "max_output_tokens": (int,), "conversation": (str, dict), "text": (dict,), "metadata": (dict,),
    }  # fmt: skip
    for name, wanted in kinds.items():
        if body.get(name) is not None:
            yield from _wrong(body[name], name, *wanted)
    most = body.get("max_output_tokens")
    if most is not None and most < _LEAST:
        what = f"integer below minimum value. Expected a value >= {_LEAST}, but got {most} instead."
        yield Refusal.of(f"Invalid 'max_output_tokens': {what}", "max_output_tokens", "integer_below_min_value")
    for index, tool in enumerate(body.get("tools") or []):
        yield from _tool(tool, f"tools[{index}]")


def _tool(tool: Any, at: str) -> Iterator[Refusal]:
    yield from _wrong(tool, at, dict)
    for name in ("type", *(("name",) if tool.get("type") == "function" else ())):
        if tool.get(name) is None:
            yield _missing(f"{at}.{name}")
        yield from _wrong(tool[name], f"{at}.{name}", str)


def _items(items: Any, at: str) -> Iterator[Refusal]:
    yield from _wrong(items, at, list)
    for index, item in enumerate(items):
        yield from _wrong(item, f"{at}[{index}]", dict)
        yield from _item(item, f"{at}[{index}]")


def _item(item: Mapping[str, Any], at: str) -> Iterator[Refusal]:
    kind = item.get("type", "message")
    yield from _wrong(kind, f"{at}.type", str)
    required = {"function_call": ("call_id", "name", "arguments"), "function_call_output": ("call_id", "output")}
    for name in required.get(kind, ()):
        if item.get(name) is None:
            yield _missing(f"{at}.{name}")
        yield from _wrong(item[name], f"{at}.{name}", str, *((list,) if name == "output" else ()))
    prefix, id = _PREFIXES.get(kind), item.get("id")
    if id is not None and prefix is not None and not str(id).startswith(prefix):
        what = f"Invalid '{at}.id': '{id}'. Expected an ID that begins with '{prefix}'."
        yield Refusal.of(what, f"{at}.id", "invalid_value")
    if kind == "message":
        if item.get("role") not in _ROLES:
            yield _unsupported(item.get("role"), f"{at}.role", _ROLES)
        yield from _content(item.get("content"), f"{at}.content", _SAID if item["role"] == "assistant" else _GIVEN)


def _content(content: Any, at: str, kinds: Sequence[str]) -> Iterator[Refusal]:
    if content is None:
        yield _missing(at)
    yield from _wrong(content, at, str, list, words="one of an array of objects or string")
    for index, part in enumerate(content if isinstance(content, list) else []):
        yield from _wrong(part, f"{at}[{index}]", dict)
        if part.get("type") not in kinds:
            yield _unsupported(part.get("type"), f"{at}[{index}].type", kinds)
        if str(part["type"]).endswith("_text"):
            if part.get("text") is None:
                yield _missing(f"{at}[{index}].text")
            yield from _wrong(part["text"], f"{at}[{index}].text", str)


def _missing(name: str) -> Refusal:
    return Refusal.of(f"Missing required parameter: '{name}'.", name, "missing_required_parameter")


def _unsupported(value: Any, at: str, known: Sequence[str]) -> Refusal:
    *others, last = (f"'{one}'" for one in known)
    listed = f"{', '.join(others)}{',' if len(others) > 1 else ''} and {last}"
    return Refusal.of(f"Invalid value: '{value}'. Supported values are: {listed}.", at, "invalid_value")


def _wrong(value: Any, at: str, *kinds: type, words: str = "") -> Iterator[Refusal]:
    """The problem of a value that is of none of these kinds; a boolean is no number."""
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        wanted = words or " or ".join(_WORDS[kind] for kind in kinds)
        got = _WORDS.get(type(value), type(value).__name__)
        yield Refusal.of(f"Invalid type for '{at}': expected {wanted}, but got {got} instead.", at, "invalid_type")
