"""Clients on the openai package with the simulator behind them: whose address they get, and what their answers used."""

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from convtest import Event, Opening, SessionError, TextDelta, TurnEnd
from convtest.config import Config, Profile
from convtest.errors import SpendingLimit
from convtest.play.mode import Mode
from convtest.results.making import about_of, result_of
from convtest.structs import replace
from convtest.wire.canonical import canonical
from convtest.wire.spending import Purse
from tests.models import Behaviour, model
from tests.playing import Stage, checks_of, finding_of

KEY = "OPENAI_API_KEY"
TALK = """
    scenario: talk
    steps:
      - user: My name is Ada.
      - user: What is my name?
        expect: {contains: Ada%s}
    """


class App:
    """`include_usage`: asks for the usage of what is streamed."""

    session_id = "one"

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._history: list[Any] = []
        self._model: openai.AsyncOpenAI | None = None

    async def connect(self) -> None:
        if self._opening.resume:
            raise SessionError("session_not_found", "sessions are not kept")
        self._model = openai.AsyncOpenAI(base_url=self._opening.base_url, api_key=self._opening.api_key, max_retries=0)

    async def disconnect(self) -> None:
        if self._model is not None:
            await self._model.close()

    async def query(self, text: str) -> None:
        self._history.append({"role": "user", "content": text})

    async def receive_response(self) -> AsyncIterator[Event]:
        assert self._model is not None
        more: dict[str, Any] = {"stream_options": {"include_usage": True}} if "include" in self._opening.options else {}
        stream = await self._model.chat.completions.create(model="gpt-own", messages=self._history, stream=True, **more)
        said = ""
        async for chunk in stream:
            for choice in chunk.choices:
                if choice.delta.content:
                    said += choice.delta.content
                    yield TextDelta(text=choice.delta.content)
        self._history.append({"role": "assistant", "content": said})
        yield TurnEnd()

    async def interrupt(self) -> None: ...


def configured(stage: Stage, **profile: Any) -> Config:
    given: dict[str, Any] = {"upstream": "simulator", "api_key_env": KEY, **profile}
    one = Profile(name="assistant", kind="python", target="tests.test_openai_on_the_simulator:App", **given)
    prices = {"gpt-own": {"input": 1.0, "output": 2.0}}
    return replace(stage.config(), clients={"assistant": one}, prices=prices)


@pytest.mark.parametrize("gateway", [False, True], ids=["in process", "at the gateway"])
def test_what_was_recorded_against_the_simulator_replays_for_the_real_upstream(stage: Stage, gateway: bool) -> None:
    recorded = stage.play_with(configured(stage, gateway=gateway), TALK % "", Mode(record="all"))
    real = configured(stage, gateway=gateway, upstream="https://api.openai.com/v1")
    replayed = stage.play_with(real, TALK % "")

    assert checks_of(recorded) == []
    assert "https://api.openai.com/v1/chat/completions" in stage.cassette().read_text()
    assert "api.anthropic.com" not in stage.cassette().read_text()
    assert replayed.transcript.source == "replayed"
    assert checks_of(replayed) == []


def test_a_recording_with_the_address_that_the_simulator_had_still_replays(stage: Stage) -> None:
    stage.play_with(configured(stage), TALK % "", Mode(record="all"))
    path = stage.cassette()
    path.write_text(path.read_text().replace("https://api.openai.com/v1/chat", "https://api.anthropic.com/chat"))

    for upstream in ("simulator", "https://api.openai.com/v1"):
        replayed = stage.play_with(configured(stage, upstream=upstream), TALK % "")
        assert checks_of(replayed) == []
        assert replayed.transcript.source == "replayed"


def test_addresses_that_are_somebodys_stay_apart() -> None:
    def key(url: str) -> str:
        return canonical("POST", url, b'{"model": "m", "messages": []}').key

    openais = key("https://api.openai.com/v1/chat/completions")
    assert key("https://api.anthropic.com/chat/completions") == openais
    # Anthropic has such an endpoint of its own.
    assert key("https://api.anthropic.com/v1/chat/completions") != openais
    assert key("https://models.example/chat/completions") != openais


def test_a_client_that_names_no_variable_has_anthropics_address(stage: Stage) -> None:
    played = stage.play_with(configured(stage, api_key_env=""), TALK % "", Mode(record="all"))

    assert checks_of(played) == []
    assert played.transcript.interactions[0].request.url == "https://api.anthropic.com/chat/completions"


@pytest.mark.parametrize("asked", ["usage: {usd: {max: 1}}", "budget: {usd: 1}", "usage: {input_tokens: {max: 9000}}"])
def test_a_stream_that_reports_no_usage_has_used_nobody_knows_how_much(stage: Stage, asked: str) -> None:
    text = TALK % f", {asked}"
    told = stage.play_with(configured(stage, options={"include": True}), text)
    untold = stage.play_with(configured(stage), text)

    assert checks_of(told) == []
    assert told.transcript.turns()[0].usage.output_tokens > 0
    check = asked.partition(":")[0]
    assert [one for one, _ in checks_of(untold)] == [check]
    assert "include_usage" in finding_of(untold, check).seen


def test_results_say_nothing_of_a_usage_that_is_unknown(stage: Stage) -> None:
    def usages(**profile: Any) -> list[Any]:
        played = stage.play_with(configured(stage, **profile), TALK % "")
        scenario = played.transcript.scenario
        found = result_of(about_of(scenario, item="talk"), played.transcript, played.verdict)
        return [used for step in found.steps for used in (step.usage, *(one.usage for one in step.requests))]

    assert usages() == [None] * 4
    assert None not in usages(options={"include": True})


def test_a_limit_in_usd_is_not_kept_where_no_usage_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "sk-convtest-test")
    purse = Purse(limit=1.0, price=lambda name, usage: 0.0)
    text = "scenario: talk\nsteps: [{user: Hello.}, {user: Hello again.}]\n"
    with model(Behaviour(edit=lambda data: data.replace(b'"usage"', b'"used"'))) as (url, _):
        config = configured(stage, upstream=f"{url}/v1")
        with pytest.raises(SpendingLimit, match=r"'gpt-own' report no usage.*include_usage"):
            stage.play_with(config, text, Mode(record="all", purse=purse))
