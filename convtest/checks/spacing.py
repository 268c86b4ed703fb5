"""White space in what a history holds: the line breaks of a program, the edges of an answer."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from convtest.checks.result import Finding, at_step
from convtest.textmatch import apart
from convtest.transcript import Transcript, TurnRecord
from convtest.wire.blocks import collapsed
from convtest.wire.interaction import Interaction
from convtest.wire.messages import history_of, once


def respaced(transcript: Transcript) -> Iterator[Finding]:
    """Words of the conversation whose white space is another one than it was, where the policy says that it is kept."""
    told: dict[tuple[object, ...], _Forms] = {}
    for record in transcript.turns():
        if record.policy.white_space != "kept" or record.wire != "history":
            continue
        # All that come from one session share what was said in them.
        key = transcript.lineage(record.session)[-1], transcript.preset(record.session)
        if key not in told:
            told[key] = _Forms(_told(transcript, record))
        other = next(filter(None, (told[key].other(one) for one in record.main())), None)
        if other is not None:
            expected, seen = apart(*other)
            yield at_step(
                record,
                "history",
                "wire",
                "words of the conversation so far are sent with other white space than they had",
                expected=expected,
                seen=seen,
                advice="send texts back as they came; if the client lays them out anew on purpose: white_space = 'any'",
                key="user",
            )


def spacing_of(turns: Sequence[TurnRecord]) -> bool | None:
    """Whether all that these turns of one session send of earlier answers has its white space; None where none does."""
    told = _answers(turns)
    sent = [text for turn in turns for one in turn.main() for text in _texts(one)]
    again = [(text, words) for text, words in sent if words in told and _matters(told[words])]
    return all(text in told[words] for text, words in again) if again else None


class _Forms:
    """By the words alone, as which texts they were said; what is asked of a history is found for this very object."""

    def __init__(self, told: Mapping[str, set[str]]) -> None:
        self._told = told

    def other(self, one: Interaction) -> tuple[str, str] | None:
        """The first text in a request that was said otherwise: (as it was, as it is sent)."""
        return history_of(one.canonical.messages).so_far(self, None, self._other)

    def _other(self, before: tuple[str, str] | None, messages: Iterable[Any]) -> tuple[str, str] | None:
        return before or next(filter(None, (self._in(message) for message in messages)), None)

    def _in(self, message: Any) -> tuple[str, str] | None:
        texts = once(message, "spaced", _spaced)
        found = ((known, text) for text, words in texts if text not in (known := self._told.get(words, {text})))
        return next(((min(known), text) for known, text in found), None)


def _told(transcript: Transcript, record: TurnRecord) -> dict[str, set[str]]:
    """By the words alone, as which texts they were said and asked in the conversation: all of them are right."""
    turns = [one for one in transcript.turns() if transcript.related(one.session, record.session)]
    told = _answers(turns)
    for text in (*(one.turn.prompt for one in turns), *(text for _, text in transcript.preset(record.session))):
        # What a user typed around a prompt is nobody's loss.
        told.setdefault(collapsed(text), set()).update((text, text.strip()))
    return told


def _answers(turns: Sequence[TurnRecord]) -> dict[str, set[str]]:
    told: dict[str, set[str]] = {}
    for turn in turns:
        for one in turn.main():
            for text in _texts_of(one.reply().get("content")):
                told.setdefault(collapsed(text), set()).add(text)
    return told


def _matters(forms: set[str]) -> bool:
    """Whether there is any white space that could be lost."""
    return any(text != collapsed(text) for text in forms)


def _texts(one: Interaction) -> list[tuple[str, str]]:
    """Each text, and its words alone."""
    return [pair for message in one.canonical.messages for pair in once(message, "spaced", _spaced)]


def _spaced(message: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(text, collapsed(text)) for text in _texts_of(message.get("content"))]


def _texts_of(content: Any) -> list[str]:
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    texts = [block["text"] for block in blocks if isinstance(block, dict) and isinstance(block.get("text"), str)]
    return [text for text in texts if text.strip()]
