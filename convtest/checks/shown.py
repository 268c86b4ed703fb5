"""What a session shows of thinking and of tools: what the model streamed, and what the tools came to."""

from collections.abc import Iterator

from convtest.checks.told import came_to, is_part, same_input, told_in
from convtest.events import Thinking
from convtest.transcript import Transcript, TurnRecord

_PREVIEW = 200
"""Characters; of a result that is longer a client may show the beginning."""

Other = tuple[str, str, str]
"""(what is wrong, expected, seen)"""


def other_thinking(record: TurnRecord) -> Other | None:
    """For a client that shows thinking: what it showed is not what the model streamed, white space apart."""
    streamed = "".join(
        str(block.get("thinking") or "")
        for one in record.main()
        for block in one.reply().get("content") or []
        if block.get("type") == "thinking"
    )
    shown = "".join(event.text for event in record.events if isinstance(event, Thinking))
    if not streamed.strip() or "".join(streamed.split()) == "".join(shown.split()):
        return None
    return (
        "the session yielded other thinking than the model streamed",
        repr(streamed),
        repr(shown) if shown else "none",
    )


def other_results(transcript: Transcript, record: TurnRecord) -> Iterator[Other]:
    """For a client that shows results: each use of a stand-in has one, whole, and an error as an error."""
    stand_ins = {tool.name for tool in transcript.scenario.tools}
    sent = record.sent()
    told = told_in(sent.messages) if sent is not None else []
    for call in record.calls:
        name = call.name.rpartition("__")[2]
        mine = [one for one in told if one.name == name and same_input(one.input, call.input)]
        if name not in stand_ins or not mine:
            continue
        shown = [one for one in record.results if one.id == call.id]
        came = came_to(transcript, record, name, call.input)
        if len(shown) != 1:
            what = f"the session yielded {len(shown) or 'no'} results of one use of the tool {name}"
            yield what, f"one: {mine[-1].text!r}", " | ".join(repr(one.text) for one in shown) or "none"
        elif came and all(is_part(shown[0].text, text, _PREVIEW) for text, _ in came):
            what = f"the session yielded a part of what the tool {name} came to"
            yield what, repr(came[0][0]), repr(shown[0].text)
        elif not shown[0].is_error and all(one.is_error for one in mine):
            failed = any(is_error for _, is_error in came)
            what = f"the session yielded that the tool {name} had worked, and told the model that it had failed"
            yield what, "an error in both" if failed else "no error in either", "an error for the model alone"


def shows_thinking(transcript: Transcript) -> bool:
    return any(isinstance(event, Thinking) for record in transcript.turns() for event in record.events)


def shows_some_results(transcript: Transcript) -> bool:
    return any(record.results for record in transcript.turns())
