"""What a report says first, and beside it: the root cause, never what only follows from it."""

import contextlib
import dataclasses
import json
import socket
from collections.abc import AsyncGenerator

import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening
from convtest.errors import NetworkBlocked
from convtest.events import Event
from convtest.plugin.sweeps import CAUSES, SWEEP, Sweeps
from convtest.reporting.failure import failure_text
from convtest.results.model import Found
from convtest.results.ranking import causes, headline, ranked, side
from convtest.structs import replace
from tests.broken_clients import ReadsOn
from tests.playing import GOOD, Stage, checks_of, finding_of
from tests.test_sweep_clients import TEXT, swept

HERE = "tests.test_root_causes:"
TWO = """
    scenario: two at once
    sessions: {one: {}, two: {}}
    facts:
      who: {tell: My name is Ada., ask: What is my name?, answer: Ada}
      where: {tell: I live in Oslo., ask: Where do I live?, answer: Oslo}
    steps:
      - together:
          - - {tell: who, session: one}
            - {user: What is 1 + 1?, session: one}
            - {ask: who, session: one, id: late}
          - - {tell: where, session: two}
            - {ask: where, session: two, id: early}
    """


class Forgets(MessagesClient):
    """Both sessions lose their history: the second one at its second request, the first one at its third."""

    _count = 0

    async def query(self, text: str) -> None:
        self._count += 1
        if self._count == (2 if self._opening.session == "two" else 3):
            self._messages.clear()
        await super().query(text)


def test_under_together_the_headline_is_what_was_lost_first(stage: Stage) -> None:
    result = stage.play(TWO, f"{HERE}Forgets").result()

    assert result.found[0].check == "history"
    assert result.found[0].step_id == "early"
    assert {one.step_id for one in result.found if one.check == "history"} == {"early", "late"}
    assert result.headline.startswith("history (layer wire): ")


def test_a_lost_history_comes_before_the_fact_that_went_with_it(stage: Stage) -> None:
    text = """
        scenario: lost
        facts: {who: {tell: My name is Ada., ask: What is my name?, answer: Ada}}
        steps: [{tell: who}, {user: What is 1 + 1?}, {ask: who}]
        """

    result = stage.play(text, "tests.broken_clients:forgetful").result()

    assert [one.check for one in result.found].count("knows") == 1
    assert result.found[0].check == "history"
    assert result.found[0].step == 2


def of(check: str, step: int, layer: str | None = None) -> Found:
    return Found(check=check, step=step, layer=layer, message=f"{check} at {step}")


@pytest.mark.parametrize(
    ("found", "first"),
    [
        ([of("contains", 1, "reply"), of("history", 3, "wire")], "history"),
        ([of("timeout", 2), of("contains", 3, "reply")], "timeout"),
        ([of("timeout", 2), of("history", 3, "wire")], "timeout"),
        ([of("history", 2, "wire"), of("timeout", 2)], "history"),
        ([of("mass", 2, "mass"), of("history", 4, "wire")], "mass"),
        ([of("mass", 2, "mass"), of("history", 2, "wire")], "history"),
        ([of("said", 2), of("contains", 2, "reply")], "said"),
        ([of("said", 2), of("history", 2, "wire")], "history"),
        ([of("miss", 1, "wire"), of("contains", 2, "reply")], "contains"),
        ([of("ended", 1), of("network", 0)], "network"),
        ([of("network", 0), of("history", 2, "wire")], "history"),
        ([of("budget", 0), of("ended", 4)], "ended"),
    ],
    ids=lambda given: given if isinstance(given, str) else " ".join(one.check for one in given),
)
def test_the_first_of_what_was_sent_or_lost_is_the_root(found: list[Found], first: str) -> None:
    assert ranked(found)[0].check == ranked(found[::-1])[0].check == first
    assert headline(ranked(found)).startswith(first)
    assert side(ranked(found))


def test_causes_leave_out_what_only_follows() -> None:
    found = [of("knows", 3, "wire"), of("history", 3, "wire"), of("said", 2), of("miss", 4, "wire"), of("said", 3)]

    assert causes(ranked(found)) == ["said: said at 2", "history (layer wire): history at 3"]


def test_a_refused_turn_follows_from_the_request_that_was_wrong() -> None:
    open_use, refused, elsewhere = of("tool_pairs", 3, "wire"), of("ended", 3), of("ended", 5)

    assert causes(ranked([open_use, refused])) == ["tool_pairs (layer wire): tool_pairs at 3"]
    assert len(causes(ranked([open_use, elsewhere]))) == 2


class OnASocket(MessagesClient):
    """Its model's host is asked for beside the transport, and its answers are its own."""

    host = "api.openai.com"

    async def query(self, text: str) -> None:
        try:
            socket.create_connection((self.host, 443), timeout=1).close()
        except OSError as error:
            text = f"The network is down: {error!r:.20}. {text}"
        await super().query(text)


class Telemetry(OnASocket):
    host = "telemetry.example.com"


class OfAnotherApi(OnASocket):
    host = "bedrock-runtime.us-east-1.amazonaws.com"


ASKED = "scenario: one\nsteps: [{user: What is 15 * 7?, expect: {contains: 'a word that is not there'}}]"


@pytest.mark.parametrize(
    ("client", "advice"),
    [
        ("OnASocket", "gateway = true"),
        ("Telemetry", "switch off what asks for it"),
        ("OfAnotherApi", "the API of Bedrock is recorded where it is asked in this process"),
    ],
)
def test_a_blocked_connection_stands_beside_the_findings(stage: Stage, client: str, advice: str) -> None:
    outcome = stage.play(ASKED, HERE + client)
    shown = failure_text(outcome.result())

    assert {"contains", "network"} <= {check for check, _ in checks_of(outcome)}
    assert advice in finding_of(outcome, "network").advice
    assert "was blocked" in shown
    assert "--convtest-live" not in shown
    with pytest.raises(NetworkBlocked, match="telemetry"):
        stage.play("scenario: two\nsteps: [{user: hello}]", f"{HERE}TelemetryAlone")


class TelemetryAlone(MessagesClient):
    async def query(self, text: str) -> None:
        with contextlib.suppress(OSError):
            socket.create_connection(("telemetry.example.com", 443), timeout=1).close()
        await super().query(text)


class OtherLimit(MessagesClient):
    """From the second turn on another setting than was recorded."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(dataclasses.replace(opening, options={**opening.options, "temperature": 0.25}))


def test_requests_that_read_alike_show_what_differs(stage: Stage) -> None:
    text = "scenario: alike\nsteps: [{user: What is 1 + 1?}]"
    stage.record(text)

    (miss,) = (one for one in stage.play(text, f"{HERE}OtherLimit").result().found if one.check == "miss")

    assert miss.expected == "temperature: recorded nothing"
    assert miss.seen == "sent     0.25"


class ChangesTheFarEnd(MessagesClient):
    """The last word of a long earlier prompt is another one."""

    async def query(self, text: str) -> None:
        for message in self._messages[:1]:
            for block in message["content"]:
                block["text"] = block["text"].replace("the end", "the END")
        await super().query(text)


def test_long_parts_of_a_history_are_shown_where_they_part(stage: Stage) -> None:
    told = "word " * 60 + "until the end"
    text = f"scenario: far\nsteps: [{{user: {told!r}}}, {{user: What is 1 + 1?}}]"

    finding = finding_of(stage.play(text, f"{HERE}ChangesTheFarEnd"), "history")

    assert "until the end" in finding.expected
    assert "until the END" in finding.seen


def test_a_check_that_fails_is_not_also_not_seen(stage: Stage) -> None:
    text = """
        scenario: half seen
        sessions: {a: {client: assistant}, b: {client: blind}}
        steps:
          - {user: My name is Ada., session: a}
          - {user: What is 1 + 1?, session: b}
          - {user: What is 2 + 2?, session: a}
        """
    config = stage.config("tests.broken_clients:forgetful")
    blind = replace(config.clients["assistant"], name="blind", target=GOOD, wire="none")
    (stage.root / "scenarios").mkdir()
    outcome = stage.play_with(replace(config, clients={**config.clients, "blind": blind}), text)

    failed = {check for check, _ in checks_of(outcome)}
    assert "history" in failed
    assert not failed & {one.check for one in outcome.verdict.not_seen}
    assert "kept_text" in {one.check for one in outcome.verdict.not_seen}


class ReadsFirst(MessagesClient):
    """It reads the whole answer before it yields any of it: an interrupt comes too late."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        events = [event async for event in super().receive_response()]
        for event in events:
            yield event

    async def interrupt(self) -> None:
        return None


def test_a_client_that_had_read_all_of_it_may_end_complete_at_a_point(stage: Stage) -> None:
    text = TEXT.replace("[interrupt, resume, fork, reset, close]", "[interrupt]")
    outcomes = [(label, one) for label, one in swept(stage, text, f"{HERE}ReadsFirst") if "request" not in label]

    assert len(outcomes) > 3
    assert all(one.verdict.passed for _, one in outcomes), [(label, checks_of(one)) for label, one in outcomes]


class IgnoresInterrupts(MessagesClient):
    async def interrupt(self) -> None:
        return None


def test_a_client_that_streams_on_after_an_interrupt_may_not(stage: Stage) -> None:
    text = TEXT.replace("[interrupt, resume, fork, reset, close]", "[interrupt]")
    outcomes = dict(swept(stage, text, f"{HERE}IgnoresInterrupts"))

    assert ("ended", None) in checks_of(next(one for label, one in outcomes.items() if label.endswith("@2-text")))


def test_a_client_that_reads_on_past_a_recorded_cut_is_told_so(stage: Stage) -> None:
    text = """
        scenario: cut
        timeout: 1s
        steps:
          - {user: Tell me a long story., interrupt: {after: 3}, expect: {ended: interrupted}}
        """
    stage.record(text)

    finding = finding_of(stage.play(text, f"tests.broken_clients:{ReadsOn.__name__}"), "timeout")

    assert "the client reads on after event 3, where the recorded one closed" in finding.seen
    assert finding.advice == "have the client stop reading once it is disturbed"


def test_causes_of_a_sweep_come_from_all_findings_of_a_point() -> None:
    sweeps = Sweeps()
    notes = [
        sweeps.note(*_point("interrupt@1-text", "history (layer wire): part 1 differs", "said: other words")),
        sweeps.note(*_point("interrupt@2-text", "history (layer wire): part 2 differs", "said: other words")),
        sweeps.note(*_point("reset@1-text", "said: other words")),
        sweeps.note(*_point("reset@2-text", "history (layer wire): part 3 differs", "tool_pairs (layer wire): open")),
    ]
    lines = [line.strip() for line in sweeps.lines()]

    assert [bool(note) for note in notes] == [False, True, False, False]
    assert "2 causes:" in lines
    after = lines[lines.index("2 causes:") + 1 :]
    assert after == [
        "history (layer wire): part 1 differs",
        "3 points: interrupt@1-text, interrupt@2-text, reset@2-text",
        "there too: tool_pairs",
        "said: other words",
        "3 points: interrupt@1-text, interrupt@2-text, reset@1-text",
    ]


def _point(label: str, *found: str) -> tuple[pytest.TestReport, str]:
    do, _, _ = label.partition("@")
    facts = {"base": "s.yaml::s", "turn": "t", "do": do, "kind": "text", "after": 1, "ms": None, "label": label}
    report = pytest.TestReport(
        nodeid=label,
        location=("s.yaml", 1, label),
        keywords={},
        outcome="failed",
        longrepr=None,
        when="call",
        user_properties=[(SWEEP, json.dumps(facts)), (CAUSES, json.dumps(list(found)))],
    )
    return report, found[0]
