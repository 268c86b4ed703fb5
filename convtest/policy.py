"""Choices in which honest clients differ: declared by the client's profile, measured by `convtest probe`."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a client does where either way is right. The defaults bind it the least."""

    interrupted_prompt: Literal["kept", "dropped", "either"] = "either"
    """Whether the prompt of a turn that was interrupted stands in the next request."""
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
    said: Literal["exact", "words", "final", "transformed"] = "words"
    """How the text that a turn yields is that of the model's answers: to the letter, all of it but for white space,
    that of the last answer alone, or changed on purpose (which permits loss)."""
    prompt: Literal["as_sent", "bare"] = "as_sent"
    """How a prompt that is sent in a frame (retrieved context, a timestamp) stands in later requests."""
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
    restarted_text: Literal["once", "doubled"] = "once"
    """Whether a session shows the beginning of an answer again when the answer broke off and was asked for again."""

    def may_be_unsent(self, prompt: str) -> bool:
        """Whether a turn with this prompt may be answered without a request of the conversation."""
        if isinstance(self.unsent, str):
            return self.unsent == "allowed"
        return prompt.strip().startswith(self.unsent)


def choices() -> dict[str, tuple[str, ...]]:
    """By the name of a choice: the words it takes."""
    hints = get_type_hints(Policy)
    return {one.name: _words(hints[one.name]) for one in fields(Policy)}


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
