"""Tools for clients: stand-ins from the scenario, and plain Python functions."""

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

import msgspec

from convtest.clients.port import Tool
from convtest.errors import ClientError, nearest
from convtest.scenario.model import Answer, StandIn

_JSON_TYPES = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
}
_WORDS = {
    "text": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "mapping": "object",
}


def stand_in(tool: StandIn) -> Tool:
    """A tool that answers from the scenario; arguments that nothing answers are an error for the model to read."""

    async def call(given: Mapping[str, Any]) -> tuple[str, bool]:
        for answer in tool.answers:
            if _matches(answer, given):
                return (answer.error, True) if answer.error is not None else (text_of_value(answer.value), False)
        return f"the scenario has no answer of {tool.name} for {text_of_value(dict(given))}", True

    return Tool(
        name=tool.name,
        description=tool.description,
        input_schema=_schema(tool.input),
        call=call,
    )


def _schema(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """A JSON Schema as it stands; else one of an object with these parameters, all of them required."""
    if given.get("type") == "object" and isinstance(given.get("properties"), Mapping):
        return given
    return _object({name: _type(kind) for name, kind in given.items()})


def python_tool(target: str, *, client: str) -> Tool:
    """The function `module:attr` as a tool; its signature is the schema, its docstring the description."""
    function = import_target(target, client=client)
    hints = get_type_hints(function)
    parameters = list(inspect.signature(function).parameters)
    properties = {name: {"type": _JSON_TYPES.get(hints.get(name, str), "string")} for name in parameters}

    async def call(given: Mapping[str, Any]) -> tuple[str, bool]:
        try:
            value = function(**given)
            return text_of_value(await value if inspect.isawaitable(value) else value), False
        except Exception as error:  # what a tool raises is for the model to read
            return f"{type(error).__name__}: {error}", True

    return Tool(
        name=function.__name__,
        description=inspect.getdoc(function) or "",
        input_schema=_object(properties),
        call=call,
    )


def import_target(target: str, *, client: str) -> Callable[..., Any]:
    """What `module:attr` names. Raises ClientError."""
    module, _, attribute = target.partition(":")
    if not module or not attribute:
        raise ClientError(f"{target!r} is not module:attr", client=client)
    try:
        found: Any = importlib.import_module(module)
    except (ImportError, AttributeError) as error:
        raise ClientError(
            f"cannot import {target!r}: {error}", client=client, help="is its folder on pytest's pythonpath?"
        ) from error
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except (ImportError, AttributeError) as error:  # a module may import what it names only then
            meant = nearest(part, dir(found))
            raise ClientError(
                f"cannot import {target!r}: {error}",
                client=client,
                help=f"did you mean {meant!r}?" if meant else f"{module} is {_file_of(module)}",
            ) from error
    if not callable(found):
        raise ClientError(f"{target!r} cannot be called", client=client)
    return found  # type: ignore[no-any-return]


def _file_of(module: str) -> str:
    return getattr(sys.modules[module], "__file__", None) or "no file"


def text_of_value(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _matches(answer: Answer, given: Mapping[str, Any]) -> bool:
    return answer.when is None or all(given.get(key) == value for key, value in answer.when.items())


def _type(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    return {"type": str(value)}


def _object(properties: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(properties)}
