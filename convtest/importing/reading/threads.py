"""Which requests belong together: each conversation is a chain of requests that extend one another."""

from collections.abc import Mapping, Sequence
from typing import Any

from convtest.importing.conversation import Conversation
from convtest.importing.reading.building import Builder
from convtest.importing.reading.exchanges import Exchange, likeness
from convtest.structs import Struct, field, replace
from convtest.wire.blocks import Block

_QUOTED = 12
"""Letters of a prompt that nobody repeats by chance."""


class _Thread(Struct):
    exchanges: list[Exchange] = field(default_factory=list)
    branched: int = 0
    """After how many of its requests it left another one."""


class _Ends(Struct):
    """What a request that goes on from this one begins with."""

    exchange: Exchange
    asked: tuple[Block, ...]
    heard: tuple[Block, ...]


def conversations_of(exchanges: Sequence[Exchange], word: str) -> tuple[list[Conversation], list[str]]:
    """The conversations, in the order of their first requests, and a line for each request that is none's."""
    threads, left_out = _threads(exchanges, word)
    found: list[Conversation] = []
    for one in threads:
        if (main := _quoted_by(one, threads)) is not None:
            number, quoted = one.exchanges[0].number, main.exchanges[0].number
            left_out.append(f"{word} {number}: a request beside the conversation: it quotes {word} {quoted}")
            continue
        made = _conversation(one, word)
        if made.turns:
            found.append(made)
        else:
            left_out.append(f"{made.where}: the user says nothing in it that can be read")
    return found, left_out


def _threads(exchanges: Sequence[Exchange], word: str) -> tuple[list[_Thread], list[str]]:
    threads: list[_Thread] = []
    ends: list[_Ends] = []
    left_out: list[str] = []
    for one in exchanges:
        earlier: Exchange | None
        asked = likeness(one.messages)
        again = next((e.exchange for e in reversed(ends) if e.asked == asked and _same(e.exchange, one)), None)
        earlier = again if again is not None and again.status >= 400 else _earlier(one, asked, ends)
        if again is not None and again.status < 400:
            left_out.append(f"{word} {one.number}: asked again, in the same words as {word} {again.number}")
            continue
        owner = next((each for each in threads if each.exchanges[-1] is earlier), None)
        if owner is not None:
            owner.exchanges.append(one)
        elif earlier is not None:
            before = next(each.exchanges for each in threads if any(e is earlier for e in each.exchanges))
            kept = before[: next(n for n, each in enumerate(before) if each is earlier) + 1]
            threads.append(_Thread([*kept, one], branched=len(kept)))
        else:
            threads.append(_Thread([one]))
        heard = likeness([*one.messages, {"role": "assistant", "content": one.reply.get("content") or []}])
        ends.append(_Ends(one, asked, heard))
    return threads, left_out


def _same(one: Exchange, other: Exchange) -> bool:
    return one.asked_with == other.asked_with and one.api == other.api


def _earlier(now: Exchange, asked: tuple[Block, ...], ends: Sequence[_Ends]) -> Exchange | None:
    """The request that this one goes on from: the longest whose words and answer it begins with."""
    fitting = [
        (len(one.heard), index, one.exchange)
        for index, one in enumerate(ends)
        if len(asked) > len(one.heard) and asked[: len(one.heard)] == one.heard
    ]
    # What goes on in the middle of a message was put together anew: nothing says which part of it is new.
    best = sorted(fitting, key=lambda each: each[:2], reverse=True)
    return next((one for _, _, one in best if _goes_on(now, one) and not _answers_otherwise(now, one)), None)


def _answers_otherwise(now: Exchange, before: Exchange) -> bool:
    """Whether it tells the model another answer than was streamed: such words are a history that somebody made."""
    added = (one for one in now.messages[_goes_on(now, before) or 0 :] if likeness([one]))
    following = next(added, None)
    return before.interaction is not None and following is not None and following.get("role") == "assistant"


def _goes_on(one: Exchange, before: Exchange) -> int | None:
    """How many of its messages are what was said and heard before it; None where that ends inside a message."""
    known = likeness([*before.messages, {"role": "assistant", "content": before.reply.get("content") or []}])
    places = range(len(before.messages), len(one.messages) + 1)
    return next((n for n in places if likeness(one.messages[:n]) == known), None)


def _quoted_by(one: _Thread, threads: Sequence[_Thread]) -> _Thread | None:
    """The conversation that a single request quotes, asking with other settings: a title, a guard, a classification."""
    if len(one.exchanges) > 1 or not one.exchanges[0].prompt:
        return None
    asked = one.exchanges[0]
    for other in threads:
        first = other.exchanges[0]
        prompts = {each.prompt for each in other.exchanges if len(each.prompt) >= _QUOTED}
        quotes = any(prompt in asked.prompt and prompt != asked.prompt for prompt in prompts)
        if other is not one and quotes and asked.system != first.system:
            return other
    return None


def _conversation(thread: _Thread, word: str) -> Conversation:
    first, numbers = thread.exchanges[0], [one.number for one in thread.exchanges]
    made = Conversation(where=_where(word, numbers), api=first.api, system=first.system)
    if thread.branched:
        made.notes.append(f"it leaves another conversation after {word} {numbers[thread.branched - 1]}")
    known: dict[str, Any] = {}
    for one in thread.exchanges:
        known |= {tool.name: tool for tool in one.tools if tool.name not in known}
    made.tools = list(known.values())
    builder = Builder(made, claude_code=first.claude_code)
    before: Exchange | None = None
    for one in thread.exchanges:
        builder.asks_with(_settings(one))
        if before is None or before.status < 400 or likeness(before.messages) != likeness(one.messages):
            builder.told(_new(one, before))
        builder.answered(one.reply, one.interaction, one.status)
        before = one
    return made


def _settings(one: Exchange) -> Mapping[str, Any]:
    return {**one.settings, **({"system": one.system} if one.system else {})}


def _new(one: Exchange, before: Exchange | None) -> Sequence[Mapping[str, Any]]:
    """The messages that this request adds to what was said and heard before it."""
    messages = list(one.own) if len(one.own) <= len(one.messages) else list(one.messages)
    if before is None:
        return messages
    kept = len(one.messages) - len(messages)
    return messages[max(0, (_goes_on(one, before) or 0) - kept) :]


def _where(word: str, numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"{word} {numbers[0]}"
    listed = ", ".join(map(str, numbers[:8])) + (" …" if len(numbers) > 8 else "")
    return f"{word.removesuffix('y')}{'ies' if word.endswith('y') else 's'} {listed}"


def without_interactions(made: Conversation) -> Conversation:
    """The same as words alone."""
    turns = [replace(turn, rounds=[replace(one, interaction=None) for one in turn.rounds]) for turn in made.turns]
    return replace(made, turns=turns, api="")
