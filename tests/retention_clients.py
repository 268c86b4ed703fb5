"""Clients that forget, each in its own way, and honest ones that condense; all on the client of the Messages API."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from convtest.clients.messages import history
from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening, SessionError
from convtest.events import TurnEnd

Messages = list[dict[str, Any]]


class Window(MessagesClient):
    """Sends the last eight messages and says nothing of it."""

    def _body(self) -> bytes:
        body = msgspec.json.decode(super()._body())
        kept = body["messages"][-8:]
        body["messages"] = kept[1:] if kept[0]["role"] == "assistant" else kept
        return msgspec.json.encode(body)


class ResumeDropsLast(MessagesClient):
    """A resumed session lacks its last turn."""

    def _restore(self) -> None:
        super()._restore()
        if self._opening.resume is not None and not self._opening.fork and self._turns:
            self._messages, self._turns = history.cut_after(self._messages, self._turns, len(self._turns) - 1)


class InterruptNotSaved(MessagesClient):
    """What was said since it was opened is gone after an interrupt."""

    def _finished(self, end: TurnEnd, usage: Any) -> TurnEnd:
        if end.ended == "interrupted":
            self._messages, self._turns = [], []
        return super()._finished(end, usage)


class LosesInMemory(MessagesClient):
    """An interrupt loses the first turn in memory; what is saved is whole."""

    _lost = False

    async def interrupt(self) -> None:
        await super().interrupt()
        self._lost = True

    def _body(self) -> bytes:
        body = msgspec.json.decode(super()._body())
        if self._lost:
            body["messages"] = body["messages"][2:]
        return msgspec.json.encode(body)


class ClearNotPersisted(MessagesClient):
    """Cleared in memory alone: what reads the session from disk has it back."""

    async def clear_history(self) -> None:
        self._before = [*self._messages, *getattr(self, "_before", [])]
        self._messages, self._turns = [], []

    def _save(self) -> None:
        before: Messages = getattr(self, "_before", [])
        if self._id is not None:
            turns = [i for i, one in enumerate([*before, *self._messages]) if one["role"] == "user"]
            self._store.save(self._id, [*before, *self._messages], turns)


class DropsInterrupted(MessagesClient):
    """Honest: a turn that was interrupted leaves nothing in the history."""

    def _finished(self, end: TurnEnd, usage: Any) -> TurnEnd:
        if end.ended == "interrupted":
            self._messages, self._turns = history.cut_after(self._messages, self._turns, len(self._turns) - 1)
        return super()._finished(end, usage)


class Compacts(MessagesClient):
    """Honest, by rule: keeps the words of its user but for small talk."""

    def kept(self, texts: Sequence[str]) -> list[str]:
        return list(texts)

    async def compact_history(self) -> None:
        """One message with what was said, and one that says so."""
        said = [
            block["text"]
            for one in self._messages
            for block in one["content"]
            if block["type"] == "text"
            and not block["text"].startswith(("Small talk", "Noted"))
            and (one["role"] == "user" or block["text"].startswith("I picked"))
        ]
        self._replace(" ".join(self.kept(said)))

    def _replace(self, text: str) -> None:
        text = f"Summary: {text}"
        self._messages = [
            {"role": "user", "content": [{"type": "text", "text": text}]},
            {"role": "assistant", "content": [{"type": "text", "text": "Understood."}]},
        ]
        self._turns = [0]
        self._save()


class CompactsByModel(Compacts):
    """Honest: the model sums up what was said."""

    async def compact_history(self) -> None:
        asked = {"role": "user", "content": [{"type": "text", "text": "Summarise our conversation so far."}]}
        body = {**msgspec.json.decode(self._body()), "messages": [*self._messages, asked], "stream": False}
        assert self._http is not None
        answer = await self._http.post(self._url, headers=self._headers, content=msgspec.json.encode(body))
        self._replace(answer.json()["content"][0]["text"].removeprefix("Summary: "))


class CompactKeepsFirst(Compacts):
    """Corrections are lost."""

    def kept(self, texts: Sequence[str]) -> list[str]:
        return [one for one in texts if not one.startswith("Correction")]


class CompactDropsNumbers(Compacts):
    def kept(self, texts: Sequence[str]) -> list[str]:
        return [re.sub(r"\d+", "some", one) for one in texts]


class CompactDropsInstruction(Compacts):
    def kept(self, texts: Sequence[str]) -> list[str]:
        return [one for one in texts if not one.startswith("From now on")]


class ForkAliases(MessagesClient):
    """A fork goes on in the history of what it was forked from."""

    living: ClassVar[dict[str, MessagesClient]] = {}

    def _restore(self) -> None:
        super()._restore()
        parent = self.living.get(self._opening.resume or "")
        if self._opening.fork and parent is not None:
            self._messages, self._turns = parent._messages, parent._turns
        if self._id is not None and not self._opening.fork:
            self.living[self._id] = self


class SharedCache(MessagesClient):
    """What any session was told stands in the requests of all."""

    told: ClassVar[list[str]] = []

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        if opening.session == "other":  # it is opened first: what an earlier test said is not told
            self.told.clear()

    async def query(self, text: str) -> None:
        self.told.append(text)
        await super().query(text)

    def _body(self) -> bytes:
        known = " ".join(self.told)
        return msgspec.json.encode({**msgspec.json.decode(super()._body()), "system": f"Known: {known}"})


class ResumeLosesSystem(MessagesClient):
    """A resumed session asks without its system prompt."""

    def _restore(self) -> None:
        super()._restore()
        if self._opening.resume is not None and not self._opening.fork:
            self._options.pop("system", None)


class NoFork(MessagesClient):
    """Honest: begins anew where it is asked to fork, as a client that knows nothing of it."""

    def _restore(self) -> None:
        if not self._opening.fork:
            super()._restore()
            return
        self._id = "new"


class RefusesFork(MessagesClient):
    """Honest: has no forks, and says so."""

    async def connect(self) -> None:
        if self._opening.fork:
            raise SessionError("session_not_found", "sessions are not forked here")
        await super().connect()


class LeavesOut(MessagesClient):
    """Sends everything but the turn in which one text was said."""

    text: ClassVar[str] = ""

    def _body(self) -> bytes:
        body = msgspec.json.decode(super()._body())
        sent = body["messages"]
        at = next((i for i, one in enumerate(sent[:-1]) if one["content"][0].get("text") == self.text), None)
        if at is not None:
            body["messages"] = [*sent[:at], *sent[at + 2 :]]
        return msgspec.json.encode(body)
