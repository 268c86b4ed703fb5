"""A conversation as a scenario: the data of its YAML, in the order in which a person writes it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from convtest.importing.conversation import Call, Conversation, Round, Turn, shown
from convtest.importing.proposing import Proposals, ProposedFact
from convtest.simulator.rendering import pieces
from convtest.structs import Struct, field

SESSION = "main"
_MARK = "proposed"
_STOPS = {"max_tokens": "max_tokens", "length": "max_tokens", "refusal": "refusal"}
_REFUSED = {429: "rate_limited", 529: "overloaded"}
_MORE = " (and so on, line after line, until it was told to stop)"
"""What an interrupted answer would have gone on with: nobody wrote it down."""
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


class Plan(Struct, kw_only=True):
    """How a conversation is to be written."""

    mode: Literal["recorded", "simulated"]
    first: int = 0
    """Its first turn that is played; those before it are history."""
    title: str = ""
    client: str = ""
    """Named where it is not the project's default."""
    options: frozenset[str] | None = None
    """What the client takes; None where that is not known, and nothing is set."""
    profile: Mapping[str, Any] = field(default_factory=dict)
    """What the client has anyway."""
    proposals: Proposals = field(default_factory=Proposals)


class Draft(Struct, kw_only=True):
    data: dict[str, Any]
    turn_of: dict[int, int]
    """By the index of a step: which turn it is, counted from 0."""


def drafted(made: Conversation, plan: Plan) -> Draft:
    """The scenario."""
    steps: list[dict[str, Any]] = []
    turn_of: dict[int, int] = {}
    turns = made.turns[plan.first :]
    settings = _taken(turns[0].settings if plan.mode == "recorded" else _words_only(made), plan)
    now = dict(settings)
    for number, turn in enumerate(turns, plan.first):
        wanted = _taken(turn.settings, plan) if plan.mode == "recorded" else now
        if changed := {key: wanted.get(key) for key in now.keys() | wanted.keys() if now.get(key) != wanted.get(key)}:
            steps.append({"set": SESSION, "options": changed})
            now = wanted
        steps.append(_step(turn, number, plan))
        turn_of[len(steps)] = number
    history = list(_history(made.turns[: plan.first]))
    options = {**settings, **_limits(turns, plan)}
    data = {
        "scenario": plan.title,
        **({"client": plan.client} if plan.client else {}),
        **({"options": options} if options else {}),
        **({"sessions": {SESSION: {"history": history}}} if history else {}),
        **({"facts": facts} if (facts := _facts(made, plan)) else {}),
        **({"tools": tools} if (tools := _tools(made, plan)) else {}),
        "steps": steps,
    }
    return Draft(data=_escaped(data), turn_of=turn_of)


def _words_only(made: Conversation) -> dict[str, Any]:
    """What a scripted conversation needs of its settings: how long an answer may be changes no script."""
    return {"system": made.system} if made.system else {}


def _taken(settings: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    known = plan.options or frozenset()
    return {key: value for key, value in settings.items() if key in known and plan.profile.get(key) != value}


def _limits(turns: Sequence[Turn], plan: Plan) -> dict[str, int]:
    """As many requests in a turn, and as many tries, as there were."""
    found: dict[str, int] = {}
    if plan.options is None:
        return found
    retries = max((_retries(turn) for turn in turns), default=0)
    if retries and "max_retries" in plan.options:
        found["max_retries"] = retries
    last = turns[-1]
    if _stopped_at_tools(last) and "max_turns" in plan.options:
        found["max_turns"] = sum(not one.refused for one in last.rounds)
    return found


def _retries(turn: Turn) -> int:
    """How often in a row it was refused and asked again."""
    most = row = 0
    for one in turn.rounds:
        row = row + 1 if one.refused else 0
        most = max(most, row)
    ends_refused = bool(turn.rounds) and turn.rounds[-1].refused
    return most - 1 if ends_refused and most == row else most


def _stopped_at_tools(turn: Turn) -> bool:
    """Nobody wrote down what came of the tools that it asked for last."""
    last = turn.rounds[-1] if turn.rounds else None
    return last is not None and any(call.result is None for call in last.calls) and not turn.interrupted


def _history(turns: Sequence[Turn]) -> Iterator[dict[str, str]]:
    for turn in turns:
        yield {"user": turn.prompt}
        yield {"assistant": turn.rounds[0].text}


def _step(turn: Turn, number: int, plan: Plan) -> dict[str, Any]:
    facts, expected = plan.proposals.facts, dict(plan.proposals.expected.get(number, {}))
    asked = next((one for one in facts if number in one.asked), None)
    told = next((one for one in facts if one.told == number), None)
    step: dict[str, Any] = {"ask": asked.name} if asked else {"tell": told.name} if told else {"user": turn.prompt}
    if plan.mode == "simulated" and asked is None:
        step |= _simulated(turn)
    if (ended := _ended(turn)) != "complete":
        expected = {"ended": ended, **expected}
    if asked is not None:
        expected = {"knows": asked.name, **expected}
    if expected:
        step["expect"] = {**expected, _MARK: list(expected)}
    return step


def _ended(turn: Turn) -> str:
    last = turn.rounds[-1] if turn.rounds else Round()
    if turn.interrupted:
        return "interrupted"
    if last.refused:
        return _REFUSED.get(last.status, "error")
    return "max_turns" if _stopped_at_tools(turn) else _STOPS.get(last.stop, "complete")


def _simulated(turn: Turn) -> dict[str, Any]:
    """What the simulator is to say, and where the turn was disturbed."""
    if turn.interrupted:
        return _interrupted(turn)
    rounds = [_script(one) for one in turn.rounds if not one.refused]
    made: dict[str, Any] = {}
    refused = [one.status for one in turn.rounds if one.refused]
    if refused and turn.rounds[0].refused:
        times = {"times": len(refused)} if len(refused) > 1 else {}
        made["fault"] = {"status": refused[0], **times}
    if rounds and all(rounds):
        made["simulate"] = rounds[0] if len(rounds) == 1 else rounds
    return made


def _script(one: Round) -> dict[str, Any]:
    stop = _STOPS.get(one.stop)
    return {
        **({"thinking": one.thinking} if one.thinking.strip() else {}),
        **({"text": one.text} if one.text.strip() else {}),
        **({"calls": [{call.name: dict(call.input)} for call in one.calls]} if one.calls else {}),
        **({"stop_reason": stop} if stop else {}),
    }


def _interrupted(turn: Turn) -> dict[str, Any]:
    last = turn.rounds[-1] if turn.rounds else Round()
    if last.calls:
        return {"interrupt": {"at": "tool_use"}, "simulate": [_script(one) for one in turn.rounds]}
    said = [_script(one) for one in turn.rounds[:-1]]
    if not last.text.strip():
        return {"interrupt": {"after": 0}, "simulate": [*said, {"words": 20}]}
    text = f"{last.text.rstrip()}{_MORE}"
    letters = events = 0
    for piece in pieces(text):
        if letters >= len(last.text.rstrip()):
            break
        letters, events = letters + len(piece), events + 1
    before = sum(1 for one in turn.rounds[:-1] for _ in (*pieces(one.text), *pieces(one.thinking)))
    uses = 2 * sum(len(one.calls) for one in turn.rounds[:-1])
    scripts = [*said, {"text": text}]
    return {"interrupt": {"after": events + before + uses}, "simulate": scripts if said else scripts[0]}


def _facts(made: Conversation, plan: Plan) -> dict[str, Any]:
    def fact(one: ProposedFact) -> dict[str, str]:
        turns = made.turns
        return {"tell": turns[one.told].prompt, "ask": turns[one.asked[0]].prompt, "answer": one.answer}

    return {one.name: fact(one) for one in plan.proposals.facts}


def _tools(made: Conversation, plan: Plan) -> dict[str, Any]:
    """Stand-ins: all that were offered where that counts, else those that were used."""
    calls = [call for turn in made.turns[plan.first :] for call in turn.calls]
    used = dict.fromkeys(call.name for call in calls)
    offered = {tool.name: tool for tool in made.tools}
    names = [*offered, *(name for name in used if name not in offered)] if plan.mode == "recorded" else list(used)
    found: dict[str, Any] = {}
    for name in names:
        mine, tool = [call for call in calls if call.name == name], offered.get(name)
        words = {"description": tool.description} if tool and tool.description else {}
        schema = tool.schema if tool and tool.schema is not None else _seen_input(mine)
        given = {"input": _short_schema(schema)} if schema else {}
        found[name] = {**words, **given, "answers": _answers(mine)}
    return found


def _short_schema(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Names and types alone where that says the same."""
    properties, required = schema.get("properties"), schema.get("required")
    if set(schema) == {"type", "properties", "required"} and isinstance(properties, dict) and properties:
        plain = all(isinstance(one, dict) and set(one) == {"type"} for one in properties.values())
        if plain and list(properties) == required and all(isinstance(p["type"], str) for p in properties.values()):
            return {name: one["type"] for name, one in properties.items()}
    return schema


def _seen_input(calls: Sequence[Call]) -> dict[str, Any]:
    """What a tool takes, as far as its uses show it."""
    keys = dict.fromkeys(key for call in calls for key in call.input)
    types = {
        key: next((_TYPES[type(c.input[key])] for c in calls if type(c.input.get(key)) in _TYPES), "string")
        for key in keys
    }
    if all(set(call.input) == set(keys) for call in calls):
        return types
    return {"type": "object", "properties": {key: {"type": kind} for key, kind in types.items()}}


def _answers(calls: Sequence[Call]) -> list[dict[str, Any]]:
    """What was answered to which arguments, the most particular first: the first that fits is taken."""
    found: list[dict[str, Any]] = []
    for call in sorted(calls, key=lambda one: -len(one.input)):
        when = {"when": dict(call.input)} if call.input else {}
        if call.result is None or any(one.get("when", {}) == call.input for one in found):
            continue
        found.append({**when, "error" if call.is_error else "return": call.result or "(nothing)"})
    return found or [{"error": "nobody wrote down what it answered"}]


def two_ways(made: Conversation) -> str:
    """Which tool answered the same arguments differently; a stand-in answers them in one way. Empty where none did."""
    seen: dict[bytes, str] = {}
    for call in (call for turn in made.turns for call in turn.calls if call.result is not None):
        key = msgspec.json.encode([call.name, dict(call.input)], order="deterministic")
        if seen.setdefault(key, call.result or "") != call.result:
            return f"the tool {shown(call.name)} answered the same arguments in two ways, and a stand-in has one"
    return ""


def _escaped(value: Any) -> Any:
    """A `${` that somebody said is no template."""
    match value:
        case str():
            return value.replace("${", "$${")
        case dict():
            return {key: _escaped(one) for key, one in value.items()}
        case list() | tuple():
            return [_escaped(one) for one in value]
        case _:
            return value
