"""Two users mixed up: an exchange of one in the history of the other, an answer that the other was shown."""

from collections.abc import Iterator, Sequence, Set
from itertools import pairwise

from convtest.checks.result import Finding, at_step
from convtest.transcript import Transcript, TurnRecord
from convtest.wire.blocks import collapsed, request_blocks
from convtest.wire.canonical import Canonical
from convtest.wire.interaction import Interaction
from convtest.wire.messages_api import text_of_content


def exchange(sent: Canonical, theirs: Set[tuple[str, str]]) -> str | None:
    """The prompt of one of these exchanges (prompt, answer) that stands in the request with its answer behind it;
    however short they are, nobody else had just these."""
    blocks = [block for block in request_blocks(sent) if block.kind == "text"]
    for first, second in pairwise(blocks):
        if (first.role, second.role) == ("user", "assistant") and (first.text, second.text) in theirs:
            return first.text
    return None


def exchanges(turn: TurnRecord) -> set[tuple[str, str]]:
    """The turn's prompt with each answer that its requests were given."""
    prompt = collapsed(turn.turn.prompt)
    return {(prompt, answer) for one in turn.interactions if prompt and (answer := _answer(one))}


def declared(history: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """The exchanges of a history (role, text) that the scenario says was had before."""
    pairs = pairwise((role, collapsed(text)) for role, text in history)
    return {(prompt, answer) for (role, prompt), (other, answer) in pairs if (role, other) == ("user", "assistant")}


def swapped(transcript: Transcript, record: TurnRecord) -> Iterator[Finding]:
    """What the turn yielded is no answer of its own, nothing that its session said or was told, and is the whole answer
    to another session's request."""
    text = collapsed(record.text)
    own = [answer for one in [*record.interactions, *record.borrowed] if (answer := _answer(one))]
    if record.wire != "history" or record.disturbed or not text or not own or record.policy.said == "transformed":
        return
    if any(answer in text or text in answer for answer in own) or text in _own(transcript, record):
        return
    for turn in transcript.turns():
        unrelated = not transcript.related(turn.session, record.session)
        if unrelated and any(_answer(one) == text for one in turn.interactions):
            yield at_step(
                record,
                "isolation",
                "reply",
                f"session {record.session!r} was shown the answer to a request of {turn.session!r}",
                expected=repr(own[-1][:200]),
                seen=repr(text[:200]),
                advice="the client gives answers to the wrong conversation: look at what is kept by call or by task",
                key="user",
            )
            return


def _own(transcript: Transcript, record: TurnRecord) -> set[str]:
    """What the session and its relatives have said or were told, which a client may say again without asking."""
    names = transcript.lineage(record.session)
    turns = [turn for turn in transcript.turns() if transcript.related(turn.session, record.session)]
    said = [text for name in names for _, text in transcript.preset(name)] + [turn.turn.prompt for turn in turns]
    told = [result.text for turn in turns for result in turn.results]
    answered = [_answer(one) for turn in turns for one in turn.interactions]
    return {collapsed(text) for text in (*said, *told, *answered)}


def _answer(one: Interaction) -> str:
    return collapsed(text_of_content(one.reply().get("content") or []))
