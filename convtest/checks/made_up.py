"""A result that a client made up: the model is told that a stand-in has worked, and nobody carried it out."""

from collections.abc import Iterator, Mapping
from typing import Any

from convtest.checks.histories import Seen, follow
from convtest.checks.result import Finding, at_step
from convtest.checks.told import Told, input_of, same_input, told_in
from convtest.transcript import Transcript
from convtest.wire.blocks import encoded


def made_up(transcript: Transcript) -> Iterator[Finding]:
    """In no request are more uses of a stand-in told as done than were carried out by then. A cached result is told
    again for the arguments that it was carried out with; that is no other result."""
    stand_ins = {tool.name: tool.description for tool in transcript.scenario.tools}
    accused: set[tuple[str, str]] = set()
    for seen in follow(transcript):
        for use in _never_done(transcript, seen, stand_ins):
            key = use.name, encoded(dict(use.input))
            if key in accused:
                continue
            accused.add(key)
            yield at_step(
                seen.record,
                "tool_pairs",
                "wire",
                f"the model was told what the tool {use.name} came to, and nothing carried it out",
                expected="the result of the tool, or a result with is_error that says it did not run",
                seen=repr(use.text[:200]),
                advice="answer a tool use that did not run as an error: what is made up is taken for a fact",
                key="user",
            )


def _never_done(transcript: Transcript, seen: Seen, stand_ins: Mapping[str, str]) -> Iterator[Told]:
    mine = set(transcript.lineage(seen.record.session))
    for name in stand_ins:
        told = [one for one in told_in(seen.sent.messages) if one.name == name and one.is_done]
        done = [one for one in transcript.carried if one.name == name and one.session in mine]
        if len(told) <= len(done) or not _offers(seen.sent.fields.get("tools"), name, stand_ins[name]):
            continue
        given = [input_of(one) for one in done]
        yield from (one for one in told if not any(same_input(one.input, other) for other in given))


def _offers(tools: Any, name: str, description: str) -> bool:
    """A client may have a tool of its own with the same name: that one has its own description."""
    for tool in tools if isinstance(tools, list) else []:
        fields = tool.get("function", tool) if isinstance(tool, dict) else {}
        if isinstance(fields, dict) and str(fields.get("name")).rpartition("__")[2] == name:
            return str(fields.get("description") or "").strip() == description.strip()
    return False
