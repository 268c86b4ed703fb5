"""The verdict as a whole: what is judged after a miss, what is not seen, the order of findings, and xfail."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from convtest.checks.result import Finding
from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening
from convtest.events import Event, TextDelta, TurnEnd
from convtest.play.mode import Mode
from convtest.play.perform import Played, perform
from convtest.play.prepare import prepare
from convtest.play.sweeping import points
from tests.broken_clients import EditedTransport, TwoRequests
from tests.playing import Stage, checks_of, finding_of
from tests.test_histories import Spoils

ME = "tests.test_judging"

SPOILS = f"{Spoils.__module__}:{Spoils.__name__}"
TALK = """
scenario: a talk
facts:
  who: {tell: My name is Bartholomew., ask: What is my name?, answer: Bartholomew}
  city: {tell: I live in Salzburg., ask: Where do I live?, answer: Salzburg}
steps:
  - {tell: who}
  - {user: I like green tea.}
  - ask: who
    expect: {%s}
  - {user: And once more.}
"""


def spoilt(stage: Stage, expect: str, edit: object) -> Played:
    """Recorded by a client that is right, and replayed by one that sends something else in the third turn."""
    stage.record(TALK % "contains: Bartholomew")
    stage.options = {**stage.options, "spoils": {"What is my name?": edit}}
    return stage.play(TALK % expect, SPOILS)


def of_step(outcome: Played, step: int) -> list[Finding]:
    return [one for one in outcome.verdict.findings if one.step == step]


def test_after_a_miss_nothing_is_said_of_a_reply_that_is_ours(stage: Stage) -> None:
    outcome = spoilt(stage, "contains: nobody says this, ended: interrupted", ["Bartholomew", "Maximilian"])

    assert "miss" in [one.check for one in of_step(outcome, 3)]
    assert not {"contains", "ended", "one_end", "said"} & {one.check for one in outcome.verdict.findings}
    assert [step.index for step in outcome.transcript.not_run] == [4]
    assert "unplayed" not in [one.check for one in outcome.verdict.findings]


def test_after_a_miss_the_wire_half_of_knows_is_judged(stage: Stage) -> None:
    outcome = spoilt(stage, "contains: Bartholomew", ["Bartholomew", "Maximilian"])

    (found,) = [one for one in of_step(outcome, 3) if one.check == "knows"]
    assert (found.layer, found.expected) == ("wire", "'Bartholomew' in the request")


def test_what_the_request_of_a_miss_holds_is_known(stage: Stage) -> None:
    outcome = spoilt(stage, "contains: Bartholomew", ["I like green tea.", "I like black tea."])

    assert "miss" in [one.check for one in of_step(outcome, 3)]
    assert "knows" not in [one.check for one in of_step(outcome, 3)]


class SaysSorry(Spoils):
    """Its users hear of no failure."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        async for event in super().receive_response():
            if isinstance(event, TurnEnd) and event.ended != "complete":
                yield TextDelta(text="Sorry, ask me later.")
                event = TurnEnd()
            yield event


def test_after_a_miss_what_the_client_says_of_it_is_not_judged(stage: Stage) -> None:
    stage.record(TALK % "contains: Bartholomew")
    stage.options = {**stage.options, "spoils": {"What is my name?": ["I like green tea.", "I like black tea."]}}

    outcome = stage.play(TALK % "knows: who", f"{ME}:SaysSorry")

    assert "miss" in [one.check for one in of_step(outcome, 3)]
    assert not {"knows", "said"} & {one.check for one in of_step(outcome, 3)}


@pytest.mark.parametrize(("expect", "fails"), [("sent: {contains: Maximilian}", False), ("sent: {messages: 9}", True)])
def test_after_a_miss_what_was_sent_is_judged(stage: Stage, expect: str, fails: bool) -> None:
    outcome = spoilt(stage, expect, ["Bartholomew", "Maximilian"])

    assert ("sent" in [one.check for one in of_step(outcome, 3)]) == fails


def test_a_miss_says_what_was_sent_and_what_is_recorded(stage: Stage) -> None:
    outcome = spoilt(stage, "contains: Bartholomew", "keep the last")

    found = finding_of(outcome, "miss")
    assert found.message == "no recorded interaction answers this request"
    assert found.seen == "1 message (user), the last: 'What is my name?'"
    assert found.expected.startswith("5 messages (user, assistant, user, assistant, user), the last: ")
    assert (found.layer, found.session, found.step, found.place.line) == ("wire", "main", 3, 9)


def test_findings_come_in_the_order_of_the_conversation(stage: Stage) -> None:
    text = """
        scenario: ordered
        budget: {output_tokens: 1}
        steps:
          - {user: What is 1 + 1?, expect: {contains: "3"}}
          - {user: Tell me something., expect: {contains: nothing of it}}
          - {user: What is 2 + 2?, expect: {contains: "5"}}
        """
    stage.options = {**stage.options, "spoils": {"Tell me something.": "keep the last"}}

    found = [(one.step, one.check) for one in stage.play(text, SPOILS).verdict.findings]

    assert [step for step, _ in found] == [*sorted(step for step, _ in found if step), 0]
    assert (2, "history") in found
    assert found[-1] == (0, "budget")


XFAIL = """
scenario: known to fail
xfail: {%s, because: it cannot count}
steps:
  - {user: What is 1 + 1?, id: first}
  - {user: What is 2 + 2?, id: second, expect: {contains: "5"}}
"""


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        ("check: contains", True),
        ("check: contains, layer: reply", True),
        ("check: contains, at: second", True),
        ("check: contains, layer: reply, at: second", True),
        ("check: contains, layer: wire", False),
        ("check: contains, at: first", False),
        ("check: equals", False),
    ],
)
def test_only_what_was_expected_to_fail_may(stage: Stage, wanted: str, passes: bool) -> None:
    outcome = stage.play(XFAIL % wanted)

    assert checks_of(outcome) == ([] if passes else [("contains", "reply"), ("xfail", None)])
    if not passes and "at" in wanted:
        assert finding_of(outcome, "xfail").expected == "contains fails at first, because it cannot count"


def test_what_else_fails_still_does(stage: Stage) -> None:
    text = XFAIL.replace("id: first", 'id: first, expect: {equals: "5"}') % "check: contains"

    assert checks_of(stage.play(text)) == [("equals", "reply")]


def test_what_was_expected_to_fail_and_does_not_is_named(stage: Stage) -> None:
    found = finding_of(stage.play((XFAIL % "check: contains").replace('"5"', '"4"')), "xfail")

    assert (found.message, found.seen) == ("expected to fail and did not: contains", "it holds")


@pytest.mark.parametrize(("check", "passes"), [("contains", True), ("equals", False)])
def test_what_was_not_seen_is_said_of_an_expected_failure_too(stage: Stage, check: str, passes: bool) -> None:
    outcome = stage.play(XFAIL % f"check: {check}", wire="none")

    assert outcome.verdict.passed == passes
    assert "history" in [one.check for one in outcome.verdict.not_seen]


BLIND = """
scenario: blind
facts: {who: {tell: My name is Ada., ask: What is my name?, answer: Ada}}
steps:
  - {tell: who}
  - {user: What is 1 + 1?, expect: {%s}}
"""


@pytest.mark.parametrize(("expect", "named"), [("contains: Ada", False), ("lacks: x", False), ("knows: who", True)])
def test_only_what_looks_at_the_wire_is_not_seen(stage: Stage, expect: str, named: bool) -> None:
    asked = BLIND.replace("What is 1 + 1?", "What is my name?") % expect

    outcome = stage.play(asked, wire="reference")

    assert outcome.verdict.passed
    assert ("knows" in [one.check for one in outcome.verdict.not_seen]) == named
    assert {one.why for one in outcome.verdict.not_seen} == {"client 'assistant' declares wire: reference"}


def test_a_client_that_sends_nothing_is_not_seen(stage: Stage) -> None:
    found = stage.play(BLIND % "contains: '2'", "tests.broken_clients:AsksNobody").verdict.not_seen

    assert "history" in [one.check for one in found]
    assert {one.why for one in found} == {"client 'assistant' answered a turn and sent nothing through its transport"}


def test_one_that_sends_is_seen(stage: Stage) -> None:
    assert stage.play(BLIND % "contains: '2'").verdict.not_seen == ()


def test_a_skipped_invariant_is_neither_judged_nor_not_seen(stage: Stage) -> None:
    skipped = BLIND.replace("facts:", "invariants: {skip: [history, said], because: it is blind}\nfacts:")

    found = {one.check for one in stage.play(skipped % "contains: '2'", wire="none").verdict.not_seen}

    assert "isolation" in found
    assert not {"history", "said"} & found


REFUSED = """
scenario: refused
steps:
  - {user: What is 1 + 1?}
  - {resume: main, session_id: nobody, expect: {%s}}
  - {user: What is 2 + 2?}
"""


@pytest.mark.parametrize(
    ("expect", "checks", "not_run"),
    [
        ("error: session_not_found", [], 0),
        ("error: session_in_use", ["error"], 1),
        ("session: new", ["error"], 1),
        ("history: empty", ["error"], 1),
    ],
)
def test_after_an_act_that_was_refused_nothing_more_is_played_but_where_that_was_expected(
    stage: Stage, expect: str, checks: list[str], not_run: int
) -> None:
    outcome = stage.play(REFUSED % expect)

    assert [one.check for one in outcome.verdict.findings if one.step == 2] == checks
    assert len(outcome.transcript.not_run) == not_run


def test_a_step_that_was_refused_needs_no_expectation_to_fail(stage: Stage) -> None:
    outcome = stage.play(REFUSED.replace(", expect: {%s}", ""))

    found = finding_of(outcome, "error")
    assert (found.message, found.expected) == ("the client refused: session_not_found", "no error")
    assert len(outcome.transcript.not_run) == 1


def test_what_was_recorded_and_is_not_asked_for_fails_what_passed(stage: Stage) -> None:
    text = "scenario: titles\nsteps: [{user: I am fond of hiking.}, {user: What is 1 + 1?}]\n"
    stage.record(text, "tests.broken_clients:TwoRequests")

    outcome = stage.play(text)

    assert checks_of(outcome) == [("unplayed", "wire")] * 2
    found = finding_of(outcome, "unplayed")
    assert found.message == (
        "recorded and not asked for: 1 message (user), the last: 'Write a title for: I am fond of'"
    )
    assert (found.session, found.advice, found.step) == ("main", "", 0)


def test_a_retry_that_no_longer_comes_is_named_even_where_the_next_request_misses(stage: Stage) -> None:
    text = """
        scenario: retried
        options: {max_retries: 1}
        steps:
          - {user: Hello.}
          - {user: What is 1 + 1?, fault: {status: 529}}
          - {user: What is 2 + 2?}
        """
    stage.record(text)

    outcome = stage.play(text, "tests.test_false_greens:no_retry")

    found = [one for one in outcome.verdict.findings if one.check == "unplayed"]
    assert [one.advice for one in found] == ["the client no longer tries again"]


class Through(Spoils):
    """A fork sends through the client that it was forked from."""

    first: ClassVar[dict[Path, Any]] = {}

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        self._transport = EditedTransport(self.first.setdefault(opening.store, opening.transport), self._edited)


def test_a_miss_in_anothers_name_is_one_too(stage: Stage) -> None:
    text = """
        scenario: through another
        steps:
          - {user: I like green tea.}
          - {fork: main, as: other}
          - {session: other, user: What do I like?, expect: {contains: %s}}
        """
    stage.record(text % "tea", f"{ME}:Through")
    stage.options = {**stage.options, "spoils": {"What do I like?": ["green", "black"]}}

    outcome = stage.play(text % "nobody says this", f"{ME}:Through")

    assert finding_of(outcome, "miss").step == 3
    assert "contains" not in [one for one, _ in checks_of(outcome)]


def test_a_miss_says_whose_request_it_would_have_been(stage: Stage) -> None:
    text = "scenario: two\nsessions: {al: {}, bob: {}}\nsteps: [{session: al, user: Hi.}, {session: bob, user: Hey.}]"
    stage.record(text)
    stage.options = {**stage.options, "spoils": {"Hey.": ["Hey.", "Hi."]}}

    found = finding_of(stage.play(text, SPOILS), "miss")

    assert found.message == "no recorded interaction answers this request: this is what 'al' was recorded to send"


BROKEN = """
scenario: broken
timeout: 200ms
steps:
  - {user: What is 1 + 1?, expect: {contains: nobody says this}}
"""


@pytest.mark.parametrize(("client", "check"), [("Crashes", "client"), ("Hangs", "timeout")])
def test_of_a_step_that_broke_no_more_is_said(stage: Stage, client: str, check: str) -> None:
    found = [one for one, _ in checks_of(stage.play(BROKEN, f"tests.broken_clients:{client}"))]

    assert check in found
    assert not {"contains", "ended"} & {*found}


def test_what_is_expected_of_an_act_is_judged(stage: Stage) -> None:
    text = "scenario: on\nsteps: [{user: Hi.}, {resume: main, expect: {session: new}}, {user: What is 1 + 1?}]"

    assert checks_of(stage.play(text)) == [("session", None)]


@pytest.mark.parametrize(("skip", "fails"), [("mass", True), ("history", False)])
def test_a_skipped_invariant_finds_nothing(stage: Stage, skip: str, fails: bool) -> None:
    stage.options = {**stage.options, "spoils": {"And once more.": "keep the last"}}
    text = TALK.replace("facts:", f"invariants: {{skip: [{skip}], because: it forgets}}\nfacts:")

    found = stage.play(text % "contains: Bartholomew", SPOILS).verdict.findings

    assert ("history" in [one.check for one in found]) == fails


class CrashesLater(MessagesClient):
    async def query(self, text: str) -> None:
        if "2 + 2" in text:
            raise ZeroDivisionError
        await super().query(text)


def test_what_was_not_played_for_want_of_getting_there_is_not_blamed(stage: Stage) -> None:
    text = "scenario: on\nsteps: [{user: What is 1 + 1?}, {user: What is 2 + 2?}, {user: What is 3 + 3?}]"
    stage.record(text)

    assert {"client"} == {one for one, _ in checks_of(stage.play(text, f"{ME}:CrashesLater"))}


class Titles(TwoRequests):
    """It asks for so many titles in each turn as `titles` says, before or after the model is asked."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        self._titles: list[int] = self._options.pop("titles")
        self._late = bool(self._options.pop("late"))

    async def query(self, text: str) -> None:
        await MessagesClient.query(self, text)
        if not self._late:
            await self.title(text)

    async def title(self, text: str) -> None:
        for _ in range(self._titles.pop(0)):
            await super().title(text)

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        async for event in super().receive_response():
            if isinstance(event, TurnEnd) and self._late:
                await self.title("Hello.")
            yield event


FAILED = ", fault: {status: 529}"
TITLED = """
scenario: titled
options: {max_retries: 1}
steps:
  - {user: Hello.%s}
  - {user: Hello.}
"""


@pytest.mark.parametrize(
    ("fault", "late", "recorded", "played"),
    [
        ("", False, [2, 0], [1, 0]),  # the first of them was answered
        (FAILED, True, [1, 0], [0, 0]),  # what failed in that turn is something else
        (FAILED, False, [1, 1], [1, 0]),  # it failed in another turn
    ],
)
def test_only_what_failed_and_was_asked_again_is_another_try(
    stage: Stage, fault: str, late: bool, recorded: list[int], played: list[int]
) -> None:
    stage.options = {**stage.options, "late": late, "titles": recorded}
    stage.record(TITLED % fault, f"{ME}:Titles")
    stage.options = {**stage.options, "titles": played}

    outcome = stage.play(TITLED % fault, f"{ME}:Titles")
    found = [one for one in outcome.verdict.findings if one.check == "unplayed"]

    assert [one.advice for one in found] == [""]


class WarmsUp(TwoRequests):
    async def connect(self) -> None:
        await super().connect()
        await TwoRequests.query(self, "a first one")
        self._messages.clear()


def test_a_miss_before_the_first_turn_says_whose_it_is(stage: Stage) -> None:
    text = "scenario: one\nsteps: [{user: What is 1 + 1?}]"
    stage.record(text)

    found = finding_of(stage.play(text, f"{ME}:WarmsUp"), "miss")

    assert "was sent outside of any turn" in found.message
    assert (found.layer, found.session, found.step) == ("wire", "main", 0)
    assert found.seen.endswith("'Write a title for: a first one'")


class AnswersBob(MessagesClient):
    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        self._is_bob = opening.session == "bob"

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        if self._is_bob:
            yield TextDelta(text="Hello, Bob.")
            yield TurnEnd()
            return
        async for event in super().receive_response():
            yield event


def test_of_a_session_that_sent_nothing_nothing_is_recorded(stage: Stage) -> None:
    text = """
        scenario: two
        sessions: {alice: {}, bob: {}}
        invariants: {skip: prompts_once, because: bob is answered here}
        steps: [{session: alice, user: Hi.}, {session: bob, user: Hey.}]
        """
    stage.record(text, f"{ME}:AnswersBob")

    assert finding_of(stage.play(text), "miss").expected == "nothing is recorded for this session"


class ReadsAll(MessagesClient):
    """It has read its answer before it yields any of it, and is not to be interrupted."""

    async def interrupt(self) -> None:
        pass

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        for event in [event async for event in super().receive_response()]:
            yield event


SWEPT = """
scenario: swept
steps:
  - {user: Tell me of the sea., id: swept, simulate: {text: The sea is wide.}}
sweep:
  turn: swept
  disturb: [interrupt]
  then:
    - user: And of the hills?
      simulate: {text: The hills are high.}
      interrupt: {after: 1}
      expect: {ended: interrupted}
"""


def test_only_the_swept_turn_may_end_where_it_had_been_read(stage: Stage) -> None:
    config = stage.config(f"{ME}:ReadsAll")
    (base,) = stage.scenarios(SWEPT)
    ended = []
    for number, scenario in enumerate(points(config, base)):
        outcome = perform(prepare(config, scenario, Mode()), stage.root / str(number))
        ended.append({one.step for one in outcome.verdict.findings if one.check == "ended"})

    assert {2} in ended
    assert all(2 in steps for steps in ended)


class SaysNothing(MessagesClient):
    async def receive_response(self) -> AsyncGenerator[Event, None]:
        yield TextDelta(text=" ")
        yield TurnEnd()


@pytest.mark.parametrize("target", [f"{ME}:SaysNothing", "tests.broken_clients:Crashes"])
def test_of_a_turn_without_an_answer_nothing_is_to_be_seen(stage: Stage, target: str) -> None:
    assert stage.play(BROKEN, target).verdict.not_seen == ()


def test_what_is_sent_in_anothers_name_is_seen(stage: Stage) -> None:
    text = "scenario: two\nsteps: [{user: Hi.}, {fork: main, as: two}, {session: two, user: What is 1 + 1?}]"

    verdict = stage.play(text, f"{ME}:Through").verdict

    assert verdict.passed
    assert verdict.not_seen == ()


class SumsUp(TwoRequests):
    """Both its requests end in the prompt, and it yields the words of neither."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        async for event in super().receive_response():
            yield TextDelta(text="It is said.") if isinstance(event, TextDelta) else event


@pytest.mark.parametrize(("prompt", "told"), [("Good morning", False), ("Good morning, this is a long one", True)])
def test_which_of_two_requests_is_the_conversation_is_said_not_to_be_seen(
    stage: Stage, prompt: str, told: bool
) -> None:
    found = stage.play(f'scenario: one\nsteps: [{{user: "{prompt}"}}]', f"{ME}:SumsUp").verdict.not_seen

    why = "which request of step 1 is the conversation cannot be told: several end in its prompt"
    assert {one.why for one in found} == (set() if told else {why})
    assert {"history", "said"} <= {one.check for one in found} or told


def test_a_turn_that_crashed_is_not_said_to_need_no_request(stage: Stage) -> None:
    text = "scenario: one\nfacts: {who: {tell: I am Ada., ask: Who am I?, answer: Ada}}\nsteps: [{ask: who}]"

    assert stage.play(text, "tests.broken_clients:Crashes").verdict.not_seen == ()
