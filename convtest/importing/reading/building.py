"""Messages in the shape of the Messages API become turns: prompts, answers, tool uses with their results."""

from collections.abc import Mapping, Sequence
from typing import Any

from convtest.importing.conversation import Call, Conversation, Round, Turn, shown
from convtest.wire.interaction import Interaction
from convtest.wire.messages_api import text_of_content
from convtest.wire.unread import MARK

INTERRUPTED = "[Request interrupted by user"
"""How Claude Code writes down that a turn was interrupted; in a tool's turn more words follow."""
_REMINDER = ("<system-reminder>", "</system-reminder>")
_SILENT = ("redacted_thinking", "reasoning")
"""Blocks that nobody reads and that are no loss to a scenario: what the model said stands beside them."""


class Builder:
    """Told of messages in their order, it makes the turns of one conversation."""

    def __init__(self, made: Conversation, *, claude_code: bool = False) -> None:
        """`claude_code`: its reminders are no words of the conversation."""
        self.made = made
        self._claude_code = claude_code
        self._settings: Mapping[str, Any] = {}
        self._open: list[Call] = []
        """Tool uses without their result."""

    def asks_with(self, settings: Mapping[str, Any]) -> None:
        """What the requests from here on ask with."""
        self._settings = settings

    def told(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Messages that somebody sent, or that are only known from later requests."""
        for message in messages:
            role, content = message.get("role"), message.get("content")
            blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
            if role in ("user", "tool"):
                self._from_user([block for block in blocks if isinstance(block, dict)])
            elif role == "assistant":
                self._from_assistant([block for block in blocks if isinstance(block, dict)], {})
            elif role in ("system", "developer"):
                self._note("a system message in mid-conversation was left out")
            else:
                self._note(f"a message of nobody ('{shown(text_of_content(content))}') was left out")

    def answered(self, reply: Mapping[str, Any], interaction: Interaction | None, status: int = 200) -> None:
        """What the model answered to all that was told so far; nothing where it refused."""
        if not self.made.turns:
            self._note("an answer without a prompt was left out")
            return
        blocks = [block for block in reply.get("content") or [] if isinstance(block, dict)]
        self._from_assistant(blocks, {"interaction": interaction, "status": status})
        self.made.turns[-1].rounds[-1].stop = str(reply.get("stop_reason") or "")

    def goes_on(self, content: Any) -> None:
        """Further blocks of the answer that came last."""
        last = self.made.turns[-1].rounds[-1]
        made = self._round([one for one in content if isinstance(one, dict)] if isinstance(content, list) else [], {})
        last.text += made.text
        last.thinking += made.thinking
        last.calls += made.calls
        self._open += made.calls

    def _from_user(self, blocks: Sequence[Mapping[str, Any]]) -> None:
        words: list[str] = []
        odd: list[str] = []
        for block in blocks:
            match "unread" if MARK in block else block.get("type", "text"):
                case "text":
                    words += [str(block["text"])] if str(block.get("text") or "").strip() else []
                case "tool_result":
                    self._result(block)
                case "unread":
                    self._note(f"what no API takes was left out: '{shown(block.get('text'), 40)}'")
                case kind:
                    odd.append(f"{_named(kind)} of the user was left out")
        prompts = [one for one in words if not self._is_reminder(one)]
        if self._claude_code and any(one.startswith(INTERRUPTED) for one in prompts):
            prompts = [one for one in prompts if not one.startswith(INTERRUPTED)]
            if self.made.turns:
                self.made.turns[-1].interrupted = True
        if prompts:
            self._prompt(prompts, lost=bool(odd))
        for what in odd:
            self._lost(what)

    def _is_reminder(self, text: str) -> bool:
        begins, ends = _REMINDER
        return self._claude_code and text.strip().startswith(begins) and text.strip().endswith(ends)

    def _prompt(self, prompts: Sequence[str], *, lost: bool) -> None:
        text = "\n\n".join(prompts)
        turns = self.made.turns
        if turns and not turns[-1].rounds and not turns[-1].interrupted:
            self._note("prompts that followed each other without an answer were joined to one")
            turns[-1].prompt += f"\n\n{text}"
            turns[-1].lost = turns[-1].lost or lost
            return
        turns.append(Turn(prompt=text, settings=self._settings, lost=lost))

    def _from_assistant(self, blocks: Sequence[Mapping[str, Any]], more: Mapping[str, Any]) -> None:
        turns = self.made.turns
        if not turns:
            self._note("what the assistant said before the first prompt was left out")
            return
        made = self._round(blocks, more)
        last = turns[-1].rounds[-1] if turns[-1].rounds else None
        if last is None or last.calls or last.refused or more:
            turns[-1].rounds.append(made)
        else:
            last.text = "\n\n".join(text for text in (last.text, made.text) if text)
            last.thinking, last.calls = last.thinking or made.thinking, made.calls
        self._open += made.calls

    def _round(self, blocks: Sequence[Mapping[str, Any]], more: Mapping[str, Any]) -> Round:
        made = Round(**more)
        for block in blocks:
            match block.get("type", "text"):
                case "text":
                    made.text += str(block.get("text") or "")
                case "thinking":
                    made.thinking += str(block.get("thinking") or "")
                case "tool_use":
                    given = block.get("input")
                    name = str(block.get("name") or "unnamed")
                    given = given if isinstance(given, dict) else {}
                    made.calls.append(Call(id=str(block.get("id")), name=name, input=given))
                case kind if kind not in _SILENT and "interaction" not in more:
                    self._lost(f"{_named(kind)} of the assistant was left out")
        return made

    def _result(self, block: Mapping[str, Any]) -> None:
        id = str(block.get("tool_use_id"))
        # Some clients name results otherwise than the model named the uses: then they come in the same order.
        call = next((one for one in self._open if one.id == id), self._open[0] if self._open else None)
        if call is None:
            self._note("a result of a tool that nobody used was left out")
            return
        self._open.remove(call)
        content = block.get("content")
        call.result, call.is_error = text_of_content(content), bool(block.get("is_error"))
        if isinstance(content, list) and any(isinstance(one, dict) and one.get("type") != "text" for one in content):
            self._lost("what a tool answered beside words was left out")

    def _lost(self, what: str) -> None:
        self._note(what)
        if self.made.turns:
            self.made.turns[-1].lost = True

    def _note(self, what: str) -> None:
        turn = len(self.made.turns)
        self.made.notes.append(f"turn {turn}: {what}" if turn else what)


def _named(kind: object) -> str:
    match kind:
        case "image" | "image_url" | "input_image":
            return "a picture"
        case "document" | "file" | "input_file":
            return "a document"
        case _:
            return f"a block of type '{shown(kind, 40)}'"
