"""The formats that can be imported: which one a file is, by its content, and what it holds."""

from collections.abc import Callable
from pathlib import Path

from convtest.cassettes.naming import Names
from convtest.importing.conversation import Found, grouped, shown
from convtest.importing.reading import cassettes, claude_code, har, messages, spans
from convtest.importing.reading.content import Content, NotImportable, content_of
from convtest.structs import Struct


class Format(Struct, frozen=True, kw_only=True):
    """One format; `recognises` looks at the content, `read` may raise NotImportable with what is not as it must be."""

    words: str
    recognises: Callable[[Content], bool]
    read: Callable[[Content, str, Names], Found]


FORMATS: dict[str, Format] = {
    "cassette": Format(
        words="cassettes of vcrpy, pytest-recording and Ruby's VCR, YAML or JSON",
        recognises=cassettes.recognises,
        read=cassettes.read,
    ),
    "har": Format(words="HAR files, as browsers and proxies save them", recognises=har.recognises, read=har.read),
    "otel": Format(
        words="OpenTelemetry spans or logs with gen_ai attributes, as JSON",
        recognises=spans.recognises,
        read=spans.read,
    ),
    "claude-code": Format(
        words="session files of Claude Code, JSON Lines", recognises=claude_code.recognises, read=claude_code.read
    ),
    "messages": Format(
        words="message lists of OpenAI and Anthropic, JSON or JSON Lines",
        recognises=messages.recognises,
        read=messages.read,
    ),
}
"""By name, in the order in which a file is held against them."""


def found_in(path: Path, file: str, names: Names, most: int, forced: str | None = None) -> Found:
    """What the file holds, in the format that it has or is said to have, secrets by the names of `names`; `file` is how
    messages name it, `most` the bytes that it may have. Raises NotImportable where it is none of them.
    """
    content = content_of(path, file, most)
    name = forced or next((name for name, one in FORMATS.items() if one.recognises(content)), None)
    if name is None:
        raise NotImportable(file, _unknown(content), _listed())
    if not FORMATS[name].recognises(content):
        raise NotImportable(file, f"it is not of the format {name}: it is {content}", _listed())
    try:
        found = FORMATS[name].read(content, file, names)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError) as error:
        # What others wrote may be anything at any depth: that is said, and never a traceback.
        problem = (
            f"it looks like the format {name} and is not as that has it: {type(error).__name__}: {shown(error, 100)}"
        )
        raise NotImportable(file, problem, _listed()) from error
    found.left_out = grouped([*content.problems, *found.left_out])
    return found


def _listed() -> str:
    return "the formats are " + "; ".join(f"{name}: {one.words}" for name, one in FORMATS.items())


_EVENTS = ("message_start", "content_block_start", "response.created", "response.in_progress", "chat.completion.chunk")


def _unknown(content: Content) -> str:
    first = content.rows[0][1] if content.rows else None
    kind = (first.get("type") or first.get("object")) if isinstance(first, dict) else None
    if kind in _EVENTS:
        return (
            f"it holds the events of one stream (the first is {kind}), and not what was asked: there is no prompt in it"
        )
    return f"no format that is known: it is {content}"
