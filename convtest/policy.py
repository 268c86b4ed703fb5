"""Choices in which honest clients differ: declared by the client's profile, measured by `convtest probe`."""

import json
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from convtest.errors import ConfigError, did_you_mean
from convtest.structs import Struct, replace, to_builtins


class Signature(Struct, frozen=True, kw_only=True):
    """What some of a client's requests ask with; what is not named may be anything."""

    system: str = ""
    """Stands in the system prompt."""
    model: str = ""
    response_format: str = ""
    """`json_schema`, `json_object`, `text`, or the name of a schema."""
    tools: tuple[str, ...] | None = None
    """The names of all tools that are offered."""

    def __str__(self) -> str:
        """As it is written in TOML."""
        named = {name: value for name, value in to_builtins(self).items() if value not in ("", None)}
        return "{" + ", ".join(f"{name} = {_toml(value)}" for name, value in named.items()) + "}"


class Policy(Struct, frozen=True, kw_only=True):
    """What a client does where either way is right. The defaults bind it the least."""

    interrupted_prompt: Literal["kept", "dropped", "either"] = "either"
    """Whether the prompt of a turn that was interrupted stands in the next request."""
    early_interrupt: Literal["kept", "either", "missed"] = "either"
    """What an interrupt does that comes before the turn's first request: the turn ends in it, and its prompt stands in
    the next request, or need not; or it may be missed, and the turn is answered as if nobody had asked."""
    partial_text: Literal["yielded", "prefix", "dropped"] = "prefix"
    """What of an interrupted answer does: just what was yielded, any beginning of it, or nothing. Never more."""
    killed_prompt: Literal["kept", "dropped", "either"] = "either"
    """Whether the prompt of a turn in which the client was killed stands in the resumed history."""
    killed_text: Literal["yielded", "prefix", "dropped"] = "prefix"
    """What of the killed answer's text does, in the words of `partial_text`."""
    killed_tool_use: Literal["kept", "dropped", "either"] = "kept"
    """Whether a tool use that was yielded before the kill does. The one default that binds: the tool may have done its
    work, and a model that does not know has it done again."""
    cleared: Literal["gone", "back", "either"] = "either"
    """Whether a history that was cleared is there again after a resume."""
    cleared_id: Literal["new", "same", "either"] = "either"
    """Whether a session that is cleared goes on under another id."""
    said: Literal["exact", "words", "final", "transformed"] = "words"
    """How the text that a turn yields is that of the model's answers: to the letter, all of it but for white space,
    that of the last answer alone, or changed on purpose (which permits loss)."""
    prompt: Literal["as_sent", "bare", "framed"] = "as_sent"
    """How a prompt that is sent in a frame (retrieved context, a timestamp) stands in later requests; `framed` is the
    other way round: sent bare, and stored in a frame."""
    frame: Literal["any", "none", "before", "after", "around"] = "any"
    """Where words of the client's stand when a prompt is sent, in every turn."""
    settings: Literal["fixed", "vary", "free"] = "vary"
    """Whether every main request of a session asks with the same system prompt, tools, model and sampling; they vary
    where the model stays and tools do not go, and are free for a client that chooses its model by the prompt."""
    memory: Literal["messages", "condensed", "summary"] = "messages"
    """What a request holds of what was said: all messages, a condensed form of them, or a summary from time to time."""
    unsent: Literal["never", "allowed"] | tuple[str, ...] = "never"
    """Whether a turn may be answered without a request of the conversation (a local command, a cached reply, a
    tripwire); or the beginnings of the prompts that may."""
    memory_across: Literal["none", "user"] = "none"
    """Whether a fresh session begins with what its user said in other ones."""
    answer: Literal["whole", "without_thinking"] = "whole"
    """How an answer stands in later requests: whole, or without what stands between `<think>` and `</think>`."""
    thinking: Literal["kept", "either"] = "either"
    """Whether the model's thinking has to stand in later requests; what stands there is never altered."""
    images: Literal["kept", "either"] = "kept"
    """Whether pictures and documents have to stand in later requests; what stands there is never altered."""
    white_space: Literal["kept", "any"] = "any"
    """Whether the white space of what was said stands in later requests as it came: the line breaks of a program."""
    broken_tools: Literal["not_run", "run"] = "not_run"
    """Whether tools that came whole are run, and the model is told of them, where their answer broke off after them:
    what else it held is lost."""
    restarted_text: Literal["once", "doubled"] = "once"
    """Whether a session shows the beginning of an answer again when the answer broke off and was asked for again."""
    abandoned: Literal["finishes", "stops", "either"] = "either"
    """What an application behind HTTP does with the model's answer once whoever read its own has left: it reads on and
    keeps all of it, or stops."""

    side: tuple[Signature, ...] = ()
    """Requests that are none of the conversation; declared by the profile beside its choices."""
    main: Signature | None = None
    """What the requests of the conversation ask with, as measured: it decides where nothing else does."""

    def may_be_unsent(self, prompt: str) -> bool:
        """Whether a turn with this prompt may be answered without a request of the conversation."""
        if isinstance(self.unsent, str):
            return self.unsent == "allowed"
        return prompt.strip().startswith(self.unsent)


def _toml(value: str | tuple[str, ...]) -> str:
    # A JSON text is a TOML text too.
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def choices() -> dict[str, tuple[str, ...]]:
    """By the name of a choice: the words it takes."""
    hints = get_type_hints(Policy)
    return {name: _words(hints[name]) for name in Policy.__struct_fields__ if name not in {"side", "main"}}


def takes_texts(name: str) -> bool:
    """Whether a list of texts does as well as one of the words."""
    return any(get_origin(one) is tuple for one in get_args(get_type_hints(Policy)[name]))


def _words(hint: Any) -> tuple[str, ...]:
    found = get_args(hint)
    return found if get_origin(hint) is Literal else tuple(word for one in found for word in _words_of(one))


def _words_of(hint: Any) -> tuple[str, ...]:
    return get_args(hint) if get_origin(hint) is Literal else ()


def policy_over(base: Policy, given: Mapping[str, Any]) -> Policy:
    """The base with what a profile declares."""
    declared: dict[str, Any] = {
        name: tuple(choice) if isinstance(choice, list) else choice for name, choice in given.items()
    }
    return replace(base, **declared)


def policy_of(value: Any, where: str) -> dict[str, str | list[str]]:
    """The table of choices as it stands there. Raises ConfigError."""
    if not isinstance(value, dict):
        raise ConfigError("policy is a table", where=where, help=f"with {', '.join(choices())}")
    for name, choice in value.items():
        if name not in choices():
            raise ConfigError(f"unknown policy {name!r}", where=where, help=did_you_mean(name, choices()))
        if takes_texts(name) and isinstance(choice, list) and choice and all(isinstance(o, str) and o for o in choice):
            continue
        if choice not in choices()[name]:
            help = f"one of {', '.join(choices()[name])}{', or a list of texts' if takes_texts(name) else ''}"
            raise ConfigError(f"policy {name}: {choice!r} is not known", where=where, help=help)
    return value


_SIGNATURE = 'such as {system = "Give this chat a title"}, with system, model, response_format or tools'


def signatures_of(value: Any, key: str, where: str) -> tuple[Signature, ...]:
    """A list of them. Raises ConfigError."""
    if isinstance(value, list):
        return tuple(signature_of(one, key, where) for one in value)
    raise ConfigError(f"{key} is a list of tables", where=where, help=_SIGNATURE)


def signature_of(value: Any, key: str, where: str) -> Signature:
    """What requests are named by, as it stands there. Raises ConfigError."""
    if not isinstance(value, dict) or not value:
        raise ConfigError(f"{key} names requests by what they ask with", where=where, help=_SIGNATURE)
    names = ("system", "model", "response_format", "tools")
    for name, given in value.items():
        if name not in names:
            raise ConfigError(f"unknown key {name!r} in {key}", where=where, help=did_you_mean(name, names))
        texts = given if isinstance(given, list) and name == "tools" else [given]
        if not all(isinstance(one, str) and one for one in texts) or (name == "tools" and texts is not given):
            what = "a list of names" if name == "tools" else "a text"
            raise ConfigError(f"{key}: {name} is {what}", where=where, help=_SIGNATURE)
    return Signature(**{**value, **({"tools": tuple(value["tools"])} if "tools" in value else {})})
