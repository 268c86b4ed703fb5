"""The simulator as a source of answers, in process: it is asked for each chunk when the client reads it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from convtest.clock import Clock
from convtest.scenario.grammar import SimulateShape
from convtest.scenario.model import Scenario, Turn
from convtest.simulator import signing
from convtest.simulator.apis import COUNT_PATH, Api, api_at, models
from convtest.simulator.betas import without_system_turns
from convtest.simulator.conversation import conversation_of
from convtest.simulator.everyday import story
from convtest.simulator.oracle import Slot, answer
from convtest.simulator.paced import Paced
from convtest.simulator.rendering import Reply, error_body, pieces
from convtest.simulator.responses import Responses, speaks_of
from convtest.simulator.structured import Wanted, fits, instance, wanted_of
from convtest.simulator.tokens import size_of, tokens_of
from convtest.wire.growing import decoded_request
from convtest.wire.interaction import Interaction
from convtest.wire.messages import digest_of
from convtest.wire.messages_api import PATH
from convtest.wire.tap import Answer, OpenTurn, Via

SERVER = "convtest-simulator"
_Where = tuple[str | None, int]
"""The lane and the turn that a request is asked in."""
_Calls = tuple[tuple[str, str, Mapping[str, Any]], ...]
"""Of each tool use: its id, the tool's name, the input."""
_FIRST_MS = 50.0


class Simulator:
    """Answers the Messages API, Chat Completions and Responses from what stands in each request, and what it keeps by
    an id that stands there; `scripts` says what is simulated in which turn."""

    def __init__(
        self,
        slots: Sequence[Slot] = (),
        scripts: Mapping[int, Sequence[SimulateShape]] | None = None,
        prompts: Mapping[int, str] | None = None,
        *,
        alone: bool = True,
    ) -> None:
        """`scripts` and `prompts` by the index of the turn; `alone`: nobody else has answered before."""
        self._alone = alone
        self._uses_after_thinking: set[str] = set()
        self._slots = slots
        self._scripts = scripts or {}
        self._prompts = prompts or {}
        self._rounds: dict[int, dict[bytes, int]] = {}
        self._said: dict[tuple[str | None, int, int], dict[str, bytes]] = {}
        """By lane, turn and round of its tool loop: what was answered to which request."""
        self._offering: set[str | None] = set()
        """Lanes that have offered tools."""
        self._messages = self._calls = 0
        self._kept = Responses()
        self.asked = 0
        """How many chunks have been asked for so far."""

    async def answer(self, interaction: Interaction, turn: OpenTurn | None, via: Via) -> Answer:
        interaction.origin = "simulated"
        if turn is not None:
            await turn.hold(via.clock)
        await via.clock.sleep(_FIRST_MS)
        path = urlsplit(interaction.request.url).path.rstrip("/")
        if (kept := self._kept.ask(interaction)) is not None:
            return self._whole(*kept, via.clock)
        listed, api = models(path), self._api(path)
        if listed is not None or api is None:
            return self._whole(200, listed, via.clock) if listed is not None else self.unknown(interaction, via)
        self._kept.learn(interaction.before())
        problem, request = self._refusal(interaction, api, counts=path.endswith(COUNT_PATH))
        if request is None:
            return self._whole(getattr(problem, "status", 400), api.refusal(problem), via.clock)
        if path.endswith(COUNT_PATH):
            return self._whole(200, msgspec.json.encode({"input_tokens": tokens_of(request)}), via.clock)
        where = (interaction.lane, turn.number) if turn is not None else None
        reply = self._reply(request, where, lambda: interaction.canonical.messages)
        sent = decoded_request(interaction.request.body)
        if not request.get("stream"):
            api.keep(reply, sent)
            return self._whole(200, api.body(reply, sent), via.clock)
        return Answer(
            status=200,
            reason="OK",
            headers=(("content-type", "text/event-stream; charset=utf-8"), ("server", SERVER)),
            chunks=Paced(api.chunks(reply, sent), via.clock, self._count, lambda: api.keep(reply, sent)),
        )

    def knows(self, url: str) -> bool:
        """Whether it speaks the API at this address."""
        path = urlsplit(url).path.rstrip("/")
        return self._api(path) is not None or models(path) is not None or speaks_of(path)

    def _api(self, path: str) -> Api | None:
        return api_at(path.removesuffix(COUNT_PATH) + PATH if path.endswith(COUNT_PATH) else path, self._kept)

    def _count(self) -> None:
        self.asked += 1

    def unknown(self, interaction: Interaction, via: Via) -> Answer:
        """The answer to what it does not speak."""
        interaction.origin = "simulated"
        path = urlsplit(interaction.request.url).path
        return self._whole(404, error_body("not_found_error", f"the simulator speaks no {path}"), via.clock)

    def _refusal(self, interaction: Interaction, api: Api, *, counts: bool) -> tuple[str, dict[str, Any] | None]:
        """Why the API would refuse the request, or the request."""
        try:
            sent = decoded_request(interaction.request.body)
        except ValueError as error:
            return str(error), None
        if not isinstance(sent, dict):
            return "the body is not a JSON object", None
        given = {"max_tokens": 1, **sent} if counts else sent
        if problem := api.problem(given):
            return problem, None
        request, problem = without_system_turns(api.read(given), interaction.request.headers)
        problem = problem or api.means(request)
        problem = problem or signing.problem_of(request, self._uses_after_thinking, alone=self._alone)
        return (problem, None) if problem else ("", request)

    def _whole(self, status: int, data: bytes, clock: Clock) -> Answer:
        headers = (("content-type", "application/json"), ("server", SERVER))
        return Answer(
            status=status,
            reason="OK" if status == 200 else "",
            headers=headers,
            chunks=Paced([data], clock, self._count),
        )

    def _reply(self, request: dict[str, Any], where: _Where | None, asked: Callable[[], Any]) -> Reply:
        said = conversation_of(request)
        wanted = wanted_of(request, brings_results=said.answers_tools)
        scripted = self._scripted(where, asked, request, wanted)
        apart = self._apart(request, where, asked)
        calls: tuple[tuple[str, str, Mapping[str, Any]], ...] = ()
        if scripted is not None:
            text = story("a place by the sea", scripted.words) if scripted.words else scripted.text or ""
            calls = self._calls_of(scripted, request)
        elif wanted is None:
            text = answer(said, self._slots)
        else:
            text, calls = self._in_form(wanted, apart(answer(said, self._slots)))
        stop = (scripted.stop_reason if scripted else None) or ("tool_use" if calls else "end_turn")
        words = pieces(text)
        if len(words) > request["max_tokens"]:
            text, stop = "".join(words[: request["max_tokens"]]), "max_tokens"
        if wanted is None:
            text = apart(text)
        thinking = (scripted.thinking if scripted else None) or ""
        self._uses_after_thinking |= {id for id, _, _ in calls} if thinking else set()
        self._messages += 1
        usage = {"input_tokens": tokens_of(request), "output_tokens": size_of(text, thinking, calls)}
        return Reply(
            id=f"msg_simulated_{self._messages:04}",
            model=request["model"],
            thinking=thinking,
            text=text,
            calls=calls,
            stop_reason=stop,
            usage={**usage, **((scripted.usage if scripted else None) or {})},
        )

    def _calls_of(self, scripted: SimulateShape, request: Mapping[str, Any]) -> _Calls:
        offered = [_name(tool) for tool in request.get("tools") or []]
        called = [pair for call in scripted.calls or [] for pair in call.items()]
        return tuple(self._call(_offered(name, offered), given) for name, given in called)

    def _in_form(self, wanted: Wanted, text: str) -> tuple[str, _Calls]:
        """The text and the tool uses of an answer in the form that the request asks for."""
        value = instance(wanted.schema, text)
        if wanted.tool:
            return "", (self._call(wanted.tool, value if isinstance(value, dict) else {}),)
        return msgspec.json.encode(value).decode(), ()

    def _apart(
        self, request: Mapping[str, Any], where: _Where | None, asked: Callable[[], Any]
    ) -> Callable[[str], str]:
        """Requests that ask for different things in one turn are never answered in equal words: what the client yields
        then tells which of them was the conversation. What is asked for in a form keeps it."""

        def apart(text: str) -> str:
            if where is None:
                return text
            lane, turn = where
            rounds = _tool_rounds(asked(), self._prompts.get(turn, ""))
            said = self._said.setdefault((lane, turn, rounds), {})
            said_before = digest_of(request.get("messages") or [])
            what = said_before + msgspec.json.encode([request.get(key) for key in ("system", "tools")])
            found, count = text, 1
            while found and said.setdefault(found, what) != what:
                count += 1
                found = f"{text} ({count})"
            return found

        return apart

    def _scripted(
        self, where: _Where | None, asked: Callable[[], Any], request: Mapping[str, Any], wanted: Wanted | None
    ) -> SimulateShape | None:
        """The round of the turn's script; the same one for what is asked again. None for a request that asks for
        another form than the script has, or that offers no tool to call where others of its session did."""
        rounds = self._scripts.get(where[1], ()) if where is not None else ()
        if where is None or not rounds:
            return None
        if request.get("tools"):
            self._offering.add(where[0])
        known, messages = self._rounds.setdefault(where[1], {}), asked()
        key = digest_of(messages)
        played = known[key] if key in known else self._round(messages, self._prompts.get(where[1], ""), known)
        script = rounds[played] if played < len(rounds) else None
        toolless = script is not None and script.calls and not request.get("tools") and where[0] in self._offering
        if toolless or (script is not None and wanted is not None and not fits(script, wanted)):
            return None
        known[key] = played
        return script

    def _round(self, messages: Sequence[Mapping[str, Any]], prompt: str, known: Mapping[bytes, int]) -> int:
        """Earlier rounds may have been answered by a recording: the results that are there tell. What ends in the
        prompt begins anew, whatever else ended in it."""
        told = _tool_rounds(messages, prompt)
        last = messages[-1] if messages else {}
        if prompt and _holds(last, prompt) and not told:
            return 0
        return max([told, *(one + 1 for one in known.values())])

    def _call(self, name: str, given: Mapping[str, Any] | None) -> tuple[str, str, Mapping[str, Any]]:
        self._calls += 1
        return f"toolu_simulated_{self._calls:04}", name, given or {}


def _tool_rounds(messages: Sequence[Mapping[str, Any]], prompt: str) -> int:
    """How many times tools have answered since the turn's prompt; what a client says of its own does not count."""
    found = 0
    for message in reversed(messages):
        blocks = [block for block in message.get("content") or [] if isinstance(block, dict)]
        if any(block.get("type") == "tool_result" for block in blocks):
            found += 1
        elif _holds(message, prompt):
            return found
    return found


def _holds(message: Mapping[str, Any], prompt: str) -> bool:
    blocks = [block for block in message.get("content") or [] if isinstance(block, dict)]
    return message.get("role") == "user" and any(prompt in str(block.get("text", "")) for block in blocks)


def _name(tool: Mapping[str, Any]) -> str:
    return str(tool.get("name") or (tool.get("function") or {}).get("name", ""))


def _offered(name: str, offered: Sequence[str]) -> str:
    """The name by which the tool is offered: clients put the name of its server before it (`mcp__server__tool`)."""
    return name if name in offered else next((one for one in offered if one.endswith(f"__{name}")), name)


def rehearsed(scenario: Scenario, turn: Turn, path: str = PATH) -> list[bytes]:
    """The streams of a scripted turn as they will be sent, one for each round of its script, by the API at the path."""
    simulator, api = Simulator((), {turn.index: turn.simulate}, {turn.index: turn.prompt.strip()}), api_at(path)
    assert api is not None
    asked = {"model": "simulated", "max_tokens": 1_000_000, "tools": [{"name": tool.name} for tool in scenario.tools]}
    request = {**asked, "messages": []}
    replies = []
    for number in range(len(turn.simulate)):
        messages = [{"role": "user", "number": number}]
        replies.append(simulator._reply(request, (None, turn.index), lambda said=messages: said))  # type: ignore[misc]
    return [b"".join(api.chunks(reply, request)) for reply in replies]


def slots_of(scenario: Scenario) -> list[Slot]:
    """The scenario's facts as the oracle looks them up."""
    return [Slot(fact.ask, tuple((v.tell, v.answer) for v in fact.versions)) for fact in scenario.facts.values()]


def scripts_of(scenario: Scenario) -> dict[int, Sequence[SimulateShape]]:
    """What is simulated, by the index of the turn."""
    return {step.index: step.simulate for step in scenario.steps if isinstance(step, Turn)}


def prompts_of(scenario: Scenario) -> dict[int, str]:
    """What is asked, by the index of the turn."""
    return {step.index: step.prompt.strip() for step in scenario.steps if isinstance(step, Turn)}
