"""Isolation from the outside: what one session alone said or heard, and what may stand anywhere."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening
from convtest.events import Event, TextDelta, TurnEnd, Usage
from tests.broken_clients import EditedTransport
from tests.playing import Stage

ME = "tests.test_isolation"


class Leaky(MessagesClient):
    """Options tell what it lets slip: `whispers` stands in each of its requests, beside the prompt; `parrots` is
    yielded at the end of each answer."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        self._whispers = str(self._options.pop("whispers", ""))
        self._parrots = str(self._options.pop("parrots", ""))
        assert opening.transport is not None
        self._transport = EditedTransport(opening.transport, self._edited)

    def _edited(self, body: dict[str, Any]) -> dict[str, Any]:
        if not self._whispers:
            return body
        *earlier, last = body["messages"]
        block = {"type": "text", "text": self._whispers}
        return {**body, "messages": [*earlier, {**last, "content": [block, *last["content"]]}]}

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        async for event in super().receive_response():
            if isinstance(event, TurnEnd) and self._parrots:
                yield TextDelta(text=f"\n{self._parrots}")
            yield event


def leaks(stage: Stage, text: str, wire: str = "") -> list[tuple[str | None, str, str]]:
    """(layer, session, what was found) of each finding of isolation."""
    found = stage.play(text, f"{ME}:Leaky", wire=wire).verdict.findings
    return [(one.layer, one.session, one.seen) for one in found if one.check == "isolation"]


TWO = """
scenario: two users
sessions:
  alice:
    options: {system: Alice has a quiet garden.}
    history: [{user: I keep nine red hens.}, {assistant: Nine red hens it is.}]
  bob: {options: {%s: %s}}
tools:
  look_up: {input: {what: string}, answers: [{return: It hangs behind the door.}]}
facts:
  name: {tell: My name is Bartholomew., ask: What is my name?, answer: Bartholomew}
  eight: {tell: I live in Salzburg., ask: Where do I live?, answer: Salzburg}
  seven: {tell: I live in Utrecht., ask: Where did I live?, answer: Utrecht}
  code: {tell: My code is K7., ask: Which is my code?, answer: K7, unique: true}
  city:
    tell: We met in Alexandria.
    ask: Where did we meet?
    answer: Alexandria
    then: [{tell: It was Constantinople., answer: Constantinople}]
steps:
  - {session: alice, tell: name}
  - {session: alice, tell: eight}
  - {session: alice, tell: seven}
  - {session: alice, tell: code}
  - {session: alice, tell: city}
  - {session: alice, tell: city}
  - {session: alice, user: The attic is very dark at night., simulate: {text: Then take a good lamp.}}
  - session: alice
    user: Where is it?
    simulate: [{calls: [{look_up: {what: it}}]}, {text: You will find it there.}]
  - session: bob
    user: Tell me something.
    simulate: {text: Something or other.}
"""

THEIRS = [
    ("call him Bartholomew", "bartholomew"),
    ("off to Salzburg", "salzburg"),
    ("the word is K7", "k7"),
    ("once Alexandria", "alexandria"),
    ("later Constantinople", "constantinople"),
    ("The attic is very dark at night.", "the attic is very dark at night."),
    ("Then take a good lamp.", "then take a good lamp."),
    ("It hangs behind the door.", "it hangs behind the door."),
    ("I keep nine red hens.", "i keep nine red hens."),
    ("Nine red hens it is.", "nine red hens it is."),
    ("Alice has a quiet garden.", "alice has a quiet garden."),
]
EVERYBODYS = ["I like trains a lot.", "nothing about Utrecht", "a lamp", "Tell me something."]


@pytest.mark.parametrize(("slip", "found"), THEIRS)
@pytest.mark.parametrize("way", ["whispers", "parrots"])
def test_what_is_only_anothers_is_found_in_requests_and_in_replies(
    stage: Stage, way: str, slip: str, found: str
) -> None:
    layer = "wire" if way == "whispers" else "reply"

    (one,) = leaks(stage, TWO % (way, slip))

    assert one[:2] == (layer, "bob")
    assert found in one[2].lower()


@pytest.mark.parametrize("slip", EVERYBODYS)
@pytest.mark.parametrize("way", ["whispers", "parrots"])
def test_what_anybody_may_say_is_no_leak(stage: Stage, way: str, slip: str) -> None:
    assert leaks(stage, TWO % (way, slip)) == []


@pytest.mark.parametrize(
    ("slip", "is_leak"), [("We met one.", False), ("We met some.", True), ("Lighthousekeepers abound.", False)]
)
def test_a_sentence_of_three_words_and_twelve_letters_is_somebodys(stage: Stage, slip: str, is_leak: bool) -> None:
    text = f"""
        scenario: short
        sessions: {{alice: {{}}, bob: {{options: {{whispers: {slip}}}}}}}
        steps:
          - {{session: alice, user: {slip}}}
          - {{session: bob, user: Hello there.}}
        """

    assert bool(leaks(stage, text)) == is_leak


def test_the_words_are_shown_as_they_stand_there(stage: Stage) -> None:
    assert leaks(stage, TWO % ("whispers", '"Well.\\nThe ATTIC is very dark at night."')) == [
        ("wire", "bob", "'The ATTIC is very dark at night.'")
    ]


SAME = """
scenario: both say it
sessions:
  alice: {options: {system: Answer as a pirate would.}}
  bob:
    options: {%s: %s, system: Answer as a pirate would.}
    history: [{user: I sail on the Endeavour.}, {assistant: The sea is rough today.}]
facts:
  ship: {tell: I sail on the Endeavour., ask: What is my ship?, answer: Endeavour}
steps:
  - {session: alice, tell: ship}
  - {session: alice, user: I have a wooden leg., simulate: {text: Then walk with great care.}}
  - {session: alice, user: Where do we go?, simulate: {text: The sea is rough today.}}
  - {session: bob, user: I have a wooden leg., simulate: {text: Then walk with great care.}}
  - {session: bob, user: And now?, simulate: {text: Sail on.}}
"""


@pytest.mark.parametrize("way", ["whispers", "parrots"])
@pytest.mark.parametrize(
    "slip",
    [
        "the good ship Endeavour",
        "I have a wooden leg.",
        "Then walk with great care.",
        "The sea is rough today.",
        "Answer as a pirate would.",
    ],
)
def test_what_both_said_or_heard_is_nobodys_alone(stage: Stage, way: str, slip: str) -> None:
    assert leaks(stage, SAME % (way, slip)) == []


def test_a_fact_that_an_answer_declares_is_known(stage: Stage) -> None:
    text = """
        scenario: declared
        sessions: {alice: {}, bob: {history: [{user: Who am I?}, {assistant: You are Bartholomew.}]}}
        facts: {name: {tell: My name is Bartholomew., ask: What is my name?, answer: Bartholomew}}
        steps:
          - {session: alice, tell: name}
          - {session: bob, user: Good morning., simulate: {text: "Good morning, Bartholomew."}}
        """

    assert leaks(stage, text) == []


def test_a_model_may_answer_in_the_words_of_another_session(stage: Stage) -> None:
    text = """
        scenario: the same answer
        sessions: {alice: {}, bob: {}}
        steps:
          - {session: alice, user: Hello there., simulate: {text: It is a lovely day today.}}
          - {session: bob, user: Good morning., simulate: {text: It is a lovely day today.}}
        """

    assert leaks(stage, text) == []


def test_a_fact_in_a_reply_is_anothers_even_where_the_model_said_it(stage: Stage) -> None:
    text = """
        scenario: the model knows too much
        sessions: {alice: {}, bob: {}}
        facts: {name: {tell: My name is Bartholomew., ask: What is my name?, answer: Bartholomew}}
        steps:
          - {session: alice, tell: name}
          - {session: bob, user: Good morning., simulate: {text: "Good morning, Bartholomew."}}
        """

    assert leaks(stage, text) == [("reply", "bob", "'Bartholomew'")]


@pytest.mark.parametrize("wire", ["none", "reference"])
def test_of_a_client_whose_requests_are_not_seen_only_replies_are_read(stage: Stage, wire: str) -> None:
    assert leaks(stage, TWO % ("whispers", "call him Bartholomew"), wire=wire) == []
    assert leaks(stage, TWO % ("parrots", "call him Bartholomew"), wire=wire) == [("reply", "bob", "'Bartholomew'")]


class Elsewhere(Leaky):
    """Its model is somewhere that convtest does not see."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        yield TextDelta(text=self._parrots or "Well.")
        yield self._finished(TurnEnd(), Usage())


@pytest.mark.parametrize(("slip", "found"), [("call him Bartholomew", 1), ("The attic is very dark at night.", 0)])
def test_of_a_model_that_nobody_sees_only_facts_are_anothers(stage: Stage, slip: str, found: int) -> None:
    outcome = stage.play(TWO % ("parrots", slip), f"{ME}:Elsewhere", wire="none")

    assert len([one for one in outcome.verdict.findings if one.check == "isolation"]) == found


FORKED = """
scenario: a fork
sessions: {one: {options: {%s}}}
facts:
  cat: {tell: My cat is called Nebuchadnezzar., ask: What is my cat called?, answer: Nebuchadnezzar}
steps:
  - {session: one, id: first, user: We have a lot of time., simulate: {text: So let us begin now.}}
  - {session: one, user: The second thing is a boat., simulate: {text: A boat is a fine thing.}}
  - fork: one
    as: two
    %s
  - {session: one, user: I shall plant some roses., simulate: {text: Roses need a lot of sun.}}
  - {session: two, user: I shall paint the old fence., simulate: {text: Fences need two coats each.}}
  - {session: one, user: That was all., simulate: {text: Until later.}}
  - {session: two, user: That was it., simulate: {text: Until tomorrow.}}
"""
BEFORE = ["We have a lot of time.", "So let us begin now."]
OF_ONE = ["I shall plant some roses.", "Roses need a lot of sun."]
OF_TWO = ["I shall paint the old fence.", "Fences need two coats each."]


@pytest.mark.parametrize("slip", [*BEFORE, *OF_ONE, *OF_TWO, "A boat is a fine thing.", "Until it rains again."])
def test_after_a_fork_nothing_of_one_side_stands_in_the_other(stage: Stage, slip: str) -> None:
    text = FORKED % ("system: Say little.", f"options: {{whispers: {slip}}}")

    found = leaks(stage, text)

    assert {one[:2] for one in found} == ({("wire", "two")} if slip in OF_ONE else set())
    assert all(slip in one[2] for one in found)


@pytest.mark.parametrize("slip", [*BEFORE, *OF_ONE, *OF_TWO, "A boat is a fine thing."])
def test_nor_does_anything_of_the_fork_in_its_parent(stage: Stage, slip: str) -> None:
    found = leaks(stage, FORKED % (f"whispers: {slip}", "options: {whispers: ''}"))

    assert {one[:2] for one in found} == ({("wire", "one")} if slip in OF_TWO else set())


@pytest.mark.parametrize("slip", ["The second thing is a boat.", "A boat is a fine thing.", *BEFORE])
def test_a_fork_at_an_earlier_turn_knows_nothing_of_the_later_ones(stage: Stage, slip: str) -> None:
    found = leaks(stage, FORKED % ("system: Say little.", f"at: first\n    options: {{whispers: {slip}}}"))

    assert {one[:2] for one in found} == (set() if slip in BEFORE else {("wire", "two")})


def test_of_forks_whose_requests_are_not_seen_nothing_is_said(stage: Stage) -> None:
    text = FORKED % ("system: Say little.", f"options: {{whispers: {OF_ONE[0]}}}")

    assert leaks(stage, text, wire="reference") == []


class Hides(Leaky):
    """Its users see other words than its model said."""

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        async for event in super().receive_response():
            yield TextDelta(text=".") if isinstance(event, TextDelta) else event


@pytest.mark.parametrize("slip", [OF_ONE[1], BEFORE[1]])
def test_what_one_side_was_answered_is_its_own_however_it_was_shown(stage: Stage, slip: str) -> None:
    text = FORKED % ("system: Say little.", f"options: {{whispers: {slip}}}")

    found = [one for one in stage.play(text, f"{ME}:Hides").verdict.findings if one.check == "isolation"]

    assert {one.session for one in found} == ({"two"} if slip in OF_ONE else set())


class OneTransport(Leaky):
    """A fork sends through the client that it was forked from."""

    first: ClassVar[dict[Path, Any]] = {}

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening)
        mine = self._transport
        self._transport = self.first.setdefault(opening.store, mine)
        if isinstance(mine, EditedTransport) and self._transport is not mine:
            mine._inner = self._transport
            self._transport = mine


@pytest.mark.parametrize("slip", [*OF_ONE, *BEFORE])
def test_what_a_fork_sends_in_its_parents_name_is_read_too(stage: Stage, slip: str) -> None:
    text = FORKED % ("system: Say little.", f"options: {{whispers: {slip}}}")

    found = [one for one in stage.play(text, f"{ME}:OneTransport").verdict.findings if one.check == "isolation"]

    assert {one.session for one in found} == ({"two"} if slip in OF_ONE else set())


SIBLINGS = FORKED.replace(
    "- {session: one, user: I shall", "- {fork: one, as: three}\n  - {session: three, user: I shall"
)


@pytest.mark.parametrize("slip", [*BEFORE, *OF_ONE, *OF_TWO])
def test_two_forks_of_one_session_hear_nothing_of_each_other(stage: Stage, slip: str) -> None:
    found = leaks(stage, SIBLINGS % ("system: Say little.", f"options: {{whispers: {slip}}}"))

    assert {one[:2] for one in found} == ({("wire", "two")} if slip in OF_ONE else set())


@pytest.mark.parametrize("slip", [*BEFORE, *OF_ONE])
def test_a_session_that_is_resumed_under_another_name_is_the_same_one(stage: Stage, slip: str) -> None:
    text = FORKED.replace("fork: one", "resume: one") % ("system: Say little.", f"options: {{whispers: {slip}}}")

    assert leaks(stage, text) == []


def test_a_third_user_is_told_of_once(stage: Stage) -> None:
    text = (FORKED % ("system: Say little.", "id: forked")).replace(
        "sessions: {", "sessions: {three: {options: {whispers: Fences need two coats each.}}, "
    ) + "  - {session: three, user: Good evening., simulate: {text: Yes.}}\n"

    assert [one[:2] for one in leaks(stage, text)] == [("wire", "three")] * 2


def test_both_sides_of_a_fork_may_say_the_same(stage: Stage) -> None:
    text = FORKED.replace("I shall paint the old fence.", "I shall plant some roses.")

    assert leaks(stage, text % ("system: Say little.", "id: forked")) == []


MANY = [
    "Zebras run very far.",
    "Apples fall very near.",
    "Melons grow in May.",
    "Boats sail by night.",
    "Cats sleep by day.",
]


@pytest.mark.parametrize("parted", ["unrelated", "forked"])
def test_of_several_the_same_one_is_shown_in_every_run(stage: Stage, parted: str) -> None:
    text = f"""
        scenario: several
        sessions: {{alice: {{}}, bob: {{options: {{whispers: "{" ".join(MANY)}"}}}}}}
        steps:
          - {{session: alice, user: Hello., simulate: {{text: Hi.}}}}
          - {{fork: alice, as: carol, options: {{whispers: "{" ".join(MANY)}"}}}}
          - {{session: alice, user: "{" ".join(MANY)}", simulate: {{text: Well.}}}}
          - {{session: {"bob" if parted == "unrelated" else "carol"}, user: Go on., simulate: {{text: Yes.}}}}
        """

    assert [one[2] for one in leaks(stage, text)] == ["'apples fall very near.'"] * (1 + (parted == "unrelated"))


def test_of_several_facts_too(stage: Stage) -> None:
    names = ["Zoroaster", "Bartholomew", "Maximilian", "Alessandra", "Nebuchadnezzar"]
    facts = "".join(
        f"  f{i}: {{tell: Call me {one}., ask: 'Who {i}?', answer: {one}}}\n" for i, one in enumerate(names)
    )
    steps = "".join(f"  - {{session: alice, tell: f{i}}}\n" for i in range(len(names)))
    text = (
        "scenario: several\nsessions: {alice: {}, bob: {options: {whispers: " + " ".join(names) + "}}}\n"
        f"facts:\n{facts}steps:\n{steps}  - {{session: bob, user: Go on.}}\n"
    )

    assert leaks(stage, text) == [("wire", "bob", "'Alessandra'")]


FOOTER = """
scenario: a footer
sessions: {alice: {options: {parrots: This is no legal advice.}}, bob: {options: {%s: This is no legal advice.}}}
steps:
  - {session: alice, user: May I park here?, simulate: {text: You may.}}
  - {session: bob, user: May I turn here?, simulate: {text: You may not.}}
"""


def test_what_a_client_says_to_everybody_is_its_own(stage: Stage) -> None:
    assert leaks(stage, FOOTER % "parrots") == []


def test_but_in_a_request_it_is_what_another_session_heard(stage: Stage) -> None:
    assert leaks(stage, FOOTER % "whispers") == [("wire", "bob", "'This is no legal advice.'")]


def test_a_single_session_has_nobody_to_overhear(stage: Stage) -> None:
    text = """
        scenario: alone
        options: {parrots: My name is Bartholomew.}
        facts: {name: {tell: My name is Bartholomew., ask: What is my name?, answer: Bartholomew}}
        steps: [{tell: name}]
        """

    assert leaks(stage, text) == []
