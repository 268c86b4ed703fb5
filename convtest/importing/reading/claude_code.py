"""Session files of Claude Code: one JSON object a line, each naming the one before it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from convtest.cassettes.naming import Names
from convtest.importing.conversation import Conversation, Found, ToolSpec, shown
from convtest.importing.reading.building import Builder
from convtest.importing.reading.content import Content, NotImportable
from convtest.importing.reading.exchanges import tools_of
from convtest.structs import replace
from convtest.wire.messages_api import text_of_content

_Line = tuple[int, Mapping[str, Any]]
_SAID = ("user", "assistant")
_COMMANDS = ("<command-name>", "<command-message>", "<local-command-stdout>", "<local-command-stderr>", "<bash-input>")
"""How texts begin that Claude Code writes down of commands that it carried out by itself."""


def recognises(content: Content) -> bool:
    """Lines that are messages of a session."""
    return any(_is_said(data) and ("sessionId" in data or "uuid" in data) for _, data in content.rows[:2000])


def read(content: Content, file: str, names: Names) -> Found:
    """Its conversations: one for each session in it. Raises NotImportable."""
    rows = [(number, data) for number, data in content.without_secrets(names).rows if isinstance(data, dict)]
    said = [row for row in rows if _is_said(row[1])]
    apart = sum(_is_apart(data) for _, data in said)
    left_out = [f"what sub-agents said and heard: {apart} messages"] if apart else []
    tools, conversations = _tools(rows), []
    for session in dict.fromkeys(str(data.get("sessionId", "")) for _, data in said):
        mine = [row for row in said if str(row[1].get("sessionId", "")) == session and not _is_apart(row[1])]
        if mine and (made := _conversation(mine, rows, tools, left_out)).turns:
            conversations.append(made)
    if not conversations:
        raise NotImportable(file, "a session file of Claude Code in which nobody said anything")
    return Found(
        format=f"a session file of Claude Code, {len(rows)} lines", conversations=conversations, left_out=left_out
    )


def _is_said(data: Any) -> bool:
    return isinstance(data, dict) and data.get("type") in _SAID and isinstance(data.get("message"), dict)


def _is_apart(data: Mapping[str, Any]) -> bool:
    return bool(data.get("isSidechain"))


def _tools(rows: Sequence[_Line]) -> dict[str, ToolSpec]:
    """The tools as the file tells what was asked with; newer versions write that down."""
    found: dict[str, ToolSpec] = {}
    for _, data in rows:
        shape = data.get("shape")
        given = shape.get("tools") if isinstance(shape, dict) else None
        found |= {tool.name: tool for tool in tools_of(given)}
    return found


def _conversation(
    said: Sequence[_Line], rows: Sequence[_Line], tools: Mapping[str, ToolSpec], left_out: list[str]
) -> Conversation:
    made = Conversation(where=f"lines {said[0][0]} to {said[-1][0]}")
    chain = _chain(said, rows)
    if len(chain) < len(said):
        left_out.append(f"branches that were left, as a rewind leaves them: {len(said) - len(chain)} messages")
    builder = Builder(made, claude_code=True)
    answer = ""
    for _, data in chain:
        message = data["message"]
        why = _no_words(data)
        if why:
            left_out.append(why)
            continue
        same = data["type"] == "assistant" and message.get("id") and message.get("id") == answer
        _tell(builder, data, message, same=bool(same))
        answer = str(message.get("id") or "") if data["type"] == "assistant" else ""
        _note_stop(made, message)
    used = {call.name for turn in made.turns for call in turn.calls}
    made.tools = [replace(tool) for name, tool in tools.items() if name in used]
    _without_servers(made, used)
    return made


def _without_servers(made: Conversation, used: set[str]) -> None:
    """Tools of MCP servers by their own names: a stand-in has no server, or one of another name."""
    own = {name: name.rpartition("__")[2] for name in used if name.startswith("mcp__")}
    taken = [*own.values(), *(used - set(own))]
    own = {name: short for name, short in own.items() if short and taken.count(short) == 1}
    for tool in made.tools:
        tool.name = own.get(tool.name, tool.name)
    for call in (call for turn in made.turns for call in turn.calls):
        call.name = own.get(call.name, call.name)
    if own:
        names = ", ".join(shown(name) for name in sorted(own))
        made.notes.append(f"tools of MCP servers are called without their server: {names}")


def _tell(builder: Builder, data: Mapping[str, Any], message: Mapping[str, Any], *, same: bool) -> None:
    """One line. Each block of an answer has one of its own: those with one id are one answer."""
    role = str(data["type"])
    if role == "assistant" and same and builder.made.turns and builder.made.turns[-1].rounds:
        builder.goes_on(message.get("content"))
        return
    builder.told([{"role": role, "content": message.get("content")}])


def _note_stop(made: Conversation, message: Mapping[str, Any]) -> None:
    if made.turns and made.turns[-1].rounds and message.get("stop_reason"):
        made.turns[-1].rounds[-1].stop = str(message["stop_reason"])


def _no_words(data: Mapping[str, Any]) -> str:
    """Why a message is none of the conversation's."""
    message = data["message"]
    text = text_of_content(message.get("content"))
    if data.get("isApiErrorMessage") or message.get("model") == "<synthetic>":
        return f"an error that Claude Code shows as an answer: '{shown(text)}'"
    if data.get("isCompactSummary"):
        return "the summary of a compaction: the conversation goes on with all that was said before it"
    if text.lstrip().startswith(_COMMANDS):
        return "a command that Claude Code carried out by itself"
    return "a message that Claude Code wrote in the user's place" if data.get("isMeta") else ""


def _chain(said: Sequence[_Line], rows: Sequence[_Line]) -> list[_Line]:
    """The messages that lead to the last one; the others were left when the user went back."""
    before = {str(data.get("uuid")): data.get("parentUuid") for _, data in rows if data.get("uuid")}
    # A compaction begins a chain anew, and names what it follows otherwise.
    before |= {
        str(data["uuid"]): data["logicalParentUuid"]
        for _, data in rows
        if data.get("uuid") and data.get("logicalParentUuid")
    }
    kept = set(_upwards(str(said[-1][1].get("uuid")), before))
    chain = [row for row in said if str(row[1].get("uuid")) in kept]
    ids = {row[1]["message"].get("id") for row in chain if row[1]["message"].get("id")}
    results = {id(row) for row in said if _parallel(row[1], ids, kept)}
    return [row for row in said if str(row[1].get("uuid")) in kept or id(row) in results]


def _parallel(data: Mapping[str, Any], ids: set[Any], kept: set[str]) -> bool:
    """Tools that ran at once: other pieces of an answer that is kept, and their results, stand beside the chain."""
    content = data["message"].get("content")
    blocks = content if isinstance(content, list) else []
    is_result = any(isinstance(block, dict) and block.get("type") == "tool_result" for block in blocks)
    return data["message"].get("id") in ids or (is_result and str(data.get("sourceToolAssistantUUID")) in kept)


def _upwards(last: str, before: Mapping[str, Any]) -> Iterator[str]:
    seen: set[str] = set()
    now: Any = last
    while now and str(now) not in seen:
        seen.add(str(now))
        yield str(now)
        now = before.get(str(now))
