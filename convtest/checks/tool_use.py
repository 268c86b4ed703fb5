"""Each tool use in a history has its one result, and each was carried out once."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from convtest.checks.histories import follow
from convtest.checks.made_up import made_up
from convtest.checks.result import Finding, at_step
from convtest.checks.told import Told, came_to, is_part, same_input, told_in, uses_tools
from convtest.events import ToolUse
from convtest.transcript import StepRecord, Transcript, TurnRecord
from convtest.wire.messages_api import PATH
from convtest.wire.neighbours import joined, without_nothing

_LONG = 1_000
"""Characters; what is longer a client may cut."""
_STOPPED = (
    "a turn that is stopped between a tool use and its result leaves a call that no model takes: answer it with an"
    " error result before the next prompt"
)
_BEGINNING = 40
"""Characters in which a result that was cut agrees with the whole one."""


def tool_pairs(transcript: Transcript) -> Iterator[Finding]:
    """Every tool use in the history has exactly one result, in the next user message; no orphans."""
    for seen in follow(transcript):
        problem = _pair_problem(seen.sent.messages)
        if problem:
            yield at_step(
                seen.record,
                "tool_pairs",
                "wire",
                problem,
                expected="one tool_result for each tool_use, in the next user message",
                seen=_tool_line(seen.sent.messages),
                advice=_STOPPED if problem.endswith("has no result") and _was_stopped(transcript, seen.record) else "",
                key="user",
            )
    yield from _done_twice(transcript)
    yield from _answered_otherwise(transcript)
    yield from _came_to_otherwise(transcript)
    yield from made_up(transcript)


def _was_stopped(transcript: Transcript, record: StepRecord) -> bool:
    """A turn of the session before this step's did not come to its own end."""
    before = [one for one in transcript.turns(record.session) if one.step.index < record.step.index]
    return any(one.end is None or one.end.ended != "complete" for one in before)


def _pair_problem(messages: list[dict[str, Any]]) -> str:
    if not uses_tools(messages):
        return ""
    opened: dict[Any, str] = {}
    for message in joined(without_nothing(messages)):
        blocks = [block for block in message.get("content") or [] if isinstance(block, dict)]
        results = Counter(b.get("tool_use_id") for b in blocks if b.get("type") == "tool_result")
        for id, name in opened.items():
            if results[id] == 0:
                return f"the tool use {name} has no result"
            if results[id] > 1:
                return f"the tool use {name} has {results[id]} results"
        orphan = next((id for id in results if id not in opened), None)
        if orphan is not None:
            return "a tool result answers no tool use of the message before it"
        opened = {b.get("id"): str(b.get("name")) for b in blocks if b.get("type") == "tool_use"}
    return f"the tool use {next(iter(opened.values()))} has no result" if opened else ""


def _tool_line(messages: list[dict[str, Any]]) -> str:
    kinds = [
        f"{message.get('role')}[{', '.join(str(b.get('type')) for b in message.get('content') or [])}]"
        for message in messages[-6:]
    ]
    return " ".join(kinds)


def _answered_otherwise(transcript: Transcript) -> Iterator[Finding]:
    """What a stand-in answered, and the user was shown, is not what the model was told of that use. Only the Messages
    API has a flag for errors."""
    stand_ins = {tool.name for tool in transcript.scenario.tools}
    for record in transcript.turns():
        if record.disturbed or record.wire != "history" or (sent := record.sent()) is None:
            continue
        told = told_in(sent.messages)
        for call in record.calls:
            shown = next((one for one in record.results if one.id == call.id), None)
            name = call.name.rpartition("__")[2]
            mine = _of_call(told, record.calls, call)
            if shown is None or name not in stand_ins or not mine:
                continue
            if shown.text.strip() and not any(_alike(shown.text, one.text) for one in mine):
                what = f"the model was told another result of the tool {name} than it had"
                yield _other(record, what, shown.text, " | ".join(one.text for one in mine))
            elif shown.is_error and sent.url.endswith(PATH) and not any(one.is_error for one in mine):
                what = f"the model was told that the tool {name} had worked, and it had failed"
                yield _other(record, what, f"an error: {shown.text}", f"no error: {mine[0].text}")


def _of_call(told: list[Told], calls: list[ToolUse], call: ToolUse) -> list[Told]:
    """What was told of one call: of several alike, in their order, the last ones are this turn's."""
    name = call.name.rpartition("__")[2]
    mine = [one for one in told if one.name == name and same_input(one.input, call.input)]
    alike = [one for one in calls if one.name == call.name and dict(one.input) == dict(call.input)]
    if len(alike) < 2 or len(mine) < len(alike):
        return mine
    return [mine[len(mine) - len(alike) + next(i for i, one in enumerate(alike) if one is call)]]


def _came_to_otherwise(transcript: Transcript) -> Iterator[Finding]:
    """What a stand-in came to is told in part; or it was an error that nobody was shown, and no flag and no word tells
    the model of it."""
    for record in transcript.turns():
        if record.disturbed or record.wire != "history" or (sent := record.sent()) is None:
            continue
        shows_errors = any(one.is_error for one in record.results) or not sent.url.endswith(PATH)
        for told in told_in(sent.messages):
            came = came_to(transcript, record, told.name, told.input)
            if came and all(is_part(told.text, text, _LONG) for text, _ in came):
                what = f"the model was told a part of what the tool {told.name} came to"
                yield _other(record, what, came[0][0], told.text)
            elif came and all(failed for _, failed in came) and told.is_done and not shows_errors:
                what = f"the model was told that the tool {told.name} had worked, and it had failed"
                yield _other(record, what, f"an error: {came[0][0]}", f"no error: {told.text}")


def _other(record: TurnRecord, what: str, expected: str, seen: str) -> Finding:
    return at_step(record, "tool_pairs", "wire", what, expected=expected, seen=seen, key="user")


def _alike(shown: str, told: str) -> bool:
    """A client may add to a result or cut a long one, and lay it out anew."""
    one, other = "".join(shown.split()), "".join(told.split())
    return bool(other) and (one in other or other in one or one[:_BEGINNING] == other[:_BEGINNING])


def _done_twice(transcript: Transcript) -> Iterator[Finding]:
    """A stand-in was carried out more often than the model asked for it."""
    asked: dict[tuple[str, str], set[str]] = {}
    for one in transcript.interactions:
        for block in one.reply().get("content") or []:
            if block.get("type") == "tool_use":
                name = str(block.get("name")).rpartition("__")[2]
                given = msgspec.json.encode(block.get("input") or {}, order="deterministic").decode()
                asked.setdefault((name, given), set()).add(str(block.get("id")))
    done: Counter[tuple[str, str]] = Counter()
    for carried in transcript.carried:
        key = carried.name.rpartition("__")[2], carried.arguments
        done[key] += 1
        record = next((r for r in transcript.turns() if r.step.index == carried.step), None)
        if record is None or record.wire != "history" or done[key] <= len(asked.get(key, ())):
            continue
        yield at_step(
            record,
            "tool_pairs",
            None,
            f"the tool {carried.name} was carried out {done[key]} times for {len(asked.get(key, ()))} tool use",
            expected="once for each tool use",
            seen=f"{carried.name}({carried.arguments}) again",
            advice="a request that failed is sent again with the results it had: the tool is not run again",
            key="user",
        )
