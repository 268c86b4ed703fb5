"""Applications that ask their model for more than the answer: honest ones, and the same ones with a lost history."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anthropic

from convtest import Event, MessagesClient, Opening, SessionError, TextDelta, TurnEnd


class App:
    """`does` names what it asks for beside the answer, `loses` what is wrong with it."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._does = str(opening.options.get("does", ""))
        self._loses = str(opening.options.get("loses", ""))
        self._history: list[dict[str, str]] = []
        self._prompt = ""
        self._model: anthropic.AsyncAnthropic | None = None

    @property
    def session_id(self) -> str | None:
        return f"app-{self._opening.session}"

    async def connect(self) -> None:
        self._model = anthropic.AsyncAnthropic(
            base_url=self._opening.base_url, api_key=self._opening.api_key, max_retries=0
        )

    async def disconnect(self) -> None:
        if self._model is not None:
            await self._model.close()

    async def query(self, text: str) -> None:
        if self._model is None:
            raise SessionError("not_connected", "connect first")
        self._prompt = text

    async def interrupt(self) -> None:
        return None

    async def _ask(self, system: str, messages: list[dict[str, str]], limit: int = 50) -> str:
        assert self._model is not None
        asked: Any = messages
        answer = await self._model.messages.create(
            model="claude-haiku-4-5", max_tokens=limit, system=system, messages=asked
        )
        return "".join(block.text for block in answer.content if block.type == "text")

    async def receive_response(self) -> AsyncIterator[Event]:
        self._history.append({"role": "user", "content": self._prompt})
        turn, alone = len(self._history) // 2 + 1, [self._history[-1]]
        beside = None
        if self._does == "classify":
            await self._ask("Name the intent of the message in one word.", alone)
        if self._does == "title" and turn == 1:
            beside = asyncio.create_task(self._ask("Give this chat a title.", alone))
        if self._does == "title later" and turn == 2:
            await self._ask("Give this chat a title.", alone)
        if self._does == "guard":
            beside = asyncio.create_task(self._ask("Is this conversation safe?", list(self._history)))
        if self._does == "rewrite" and turn > 1:
            said = "\n".join(f"{one['role']}: {one['content']}" for one in self._history)
            await self._ask("Rewrite the question so that it stands alone.", [{"role": "user", "content": said}])
        system = f"You are terse. This is turn {turn}." if self._does == "clock" else "You are terse."
        text = await self._ask(system, self._sent(turn), 200)
        if beside is not None:
            await beside
        self._history.append({"role": "assistant", "content": text})
        if self._does == "suggest":
            more = {"role": "user", "content": "Suggest three questions to go on with."}
            await self._ask("You suggest questions.", [*self._history, more])
        if self._loses == "one of two" and turn > 1:
            await self._ask(system, alone, 200)
        yield TextDelta(text=text)
        yield TurnEnd()

    def _sent(self, turn: int) -> list[dict[str, str]]:
        sent = self._history
        if self._loses == "all":
            sent = sent[-1:]
        if self._loses == "the first answer" and turn > 1:
            sent = [sent[0], {"role": "assistant", "content": "Hm."}, *sent[2:]]
        if self._does == "retrieve":
            framed = f"Context: document {turn} of the archive.\n\nQuestion: {sent[-1]['content']}"
            sent = [*sent[:-1], {"role": "user", "content": framed}]
        return sent


class Stamped(MessagesClient):
    """It puts the time before each prompt, in what it sends and in what it keeps."""

    async def query(self, text: str) -> None:
        await super().query(f"[12:0{len(self._turns)}] {text}")
