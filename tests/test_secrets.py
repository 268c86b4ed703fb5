"""Two secrets never become equal: numbered where they are kept, bound one to one where they are played again."""

import json
import re
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import httpx
import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from convtest import Event, Opening, SessionError, TextDelta, TurnEnd
from convtest.cassettes.bindings import Bindings
from convtest.cassettes.bodies import texts_of
from convtest.cassettes.comparison import compare
from convtest.cassettes.format import from_plain, to_text
from convtest.cassettes.naming import Names
from convtest.cassettes.scrubbing import NOTHING_KNOWN, Scrubber
from convtest.play.mode import Mode
from convtest.play.perform import Played, perform
from convtest.play.prepare import prepare
from convtest.play.sweeping import points
from convtest.wire.canonical import canonical
from convtest.wire.interaction import Chunk, Interaction, Request
from convtest.wire.marks import formed, marks_of, numbered, placeholders_in
from tests.models import Behaviour, model
from tests.playing import MODEL, Stage, checks_of, finding_of
from tests.project import SECTION, Project

ME = "tests.test_secrets:Client"
TWO = """
scenario: two users with a token each
sessions: {alice: {}, bob: {}}
steps:
  - {session: alice, user: Remember it.}
  - {session: bob, user: Remember it.}
  - {session: alice, user: "What did I say?"}
  - {session: bob, user: "What did I say?"}
"""
ONE = """
scenario: one user with a token
steps:
  - user: Remember it.
  - user: What did I say?
    expect: {contains: Remember}
"""


def token(user: str, run: int) -> str:
    """Another one in each run, of the shape of a real one."""
    return f"sk-ant-api03-{user.capitalize()}{run}Zx9Qw8Er7Ty6Ui5Op4As3Df2"


class Client:
    """Tells the model its user's token in each prompt; history in its hand. `bug`: swaps (from the second turn on the
    other user's token), shares (everybody's is alice's), forgets (sends no history)."""

    run: ClassVar[int] = 0

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._bug = str(opening.options.get("bug", ""))
        self._history: list[dict[str, Any]] = []
        self._text = ""

    @property
    def session_id(self) -> str | None:
        return f"s-{self._opening.session}"

    async def connect(self) -> None: ...

    async def disconnect(self) -> None: ...

    async def interrupt(self) -> None: ...

    async def query(self, text: str) -> None:
        user = self._opening.session
        other = {"alice": "bob", "bob": "alice"}.get(user, user)
        if self._bug == "swaps" and self._history:
            user = other
        if self._bug == "shares":
            user = "alice"
        self._text = f"{text} My token is {token(user, Client.run)}."

    async def receive_response(self) -> AsyncIterator[Event]:
        self._history.append({"role": "user", "content": self._text})
        sent = self._history[-1:] if self._bug == "forgets" else self._history
        body = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": sent}
        headers = {"x-api-key": self._opening.api_key, "anthropic-version": "2023-06-01"}
        async with httpx.AsyncClient(transport=self._opening.transport) as client:
            answer = await client.post(f"{self._opening.base_url}/v1/messages", json=body, headers=headers)
        if answer.status_code != 200:
            raise SessionError("bad_request", answer.text)
        text = answer.json()["content"][0]["text"]
        self._history.append({"role": "assistant", "content": text})
        yield TextDelta(text=text)
        yield TurnEnd()


def play(stage: Stage, text: str, mode: Mode | None = None, bug: str = "") -> Played:
    Client.run += 1
    stage.options = {**MODEL, "bug": bug}
    return stage.play(text, ME, mode)


@pytest.mark.parametrize("text", [ONE, TWO], ids=["one user", "two users"])
def test_an_honest_client_with_another_token_in_each_run_replays(stage: Stage, text: str) -> None:
    recorded = play(stage, text, Mode(record="all"))
    replayed = play(stage, text)

    assert checks_of(recorded) == checks_of(replayed) == []
    assert replayed.transcript.source == "replayed"
    kept = stage.cassette().read_text()
    assert "sk-ant" not in kept
    assert ("SCRUBBED_KEY-2" in kept) == (text is TWO)
    # The answers that quote it quote this run's.
    assert token("alice" if text is TWO else "main", Client.run) in replayed.transcript.turns()[-2].text


@pytest.mark.parametrize("bug", ["swaps", "shares"])
def test_a_client_that_sends_the_other_users_token_misses(stage: Stage, bug: str) -> None:
    play(stage, TWO, Mode(record="all"))

    replayed = play(stage, TWO, bug=bug)

    found = finding_of(replayed, "miss")
    assert found.layer == "wire"
    said = replayed.result()
    assert "sk-ant" not in str(said)
    differs = "\n".join(line for one in said.found for line in one.difference)
    assert re.search(r"- .*\[.*SCRUBBED_KEY-\d\.?\]", differs), differs
    assert len(set(re.findall(r"SCRUBBED_KEY-\d", differs))) == 2


def test_numbers_follow_the_order_in_which_sessions_are_declared(stage: Stage) -> None:
    text = TWO.replace("alice: {}, bob: {}", "bob: {}, alice: {}")
    play(stage, text, Mode(record="all"))

    requests = yaml.safe_load(stage.cassette().read_text())["interactions"]
    of = {one["response"]["x-convtest"]["lane"]: one["request"]["body"] for one in requests}

    assert "SCRUBBED_KEY-1" in of["bob"]
    assert "SCRUBBED_KEY-2" in of["alice"]


def test_older_placeholders_without_a_number_stand_for_any_of_their_kind(stage: Stage) -> None:
    play(stage, ONE, Mode(record="all"))
    path = stage.cassette()
    path.write_text(path.read_text().replace("SCRUBBED_KEY-1", "SCRUBBED_KEY"))

    assert checks_of(play(stage, ONE)) == []
    assert checks_of(play(stage, ONE, bug="forgets")) != []


@pytest.mark.parametrize("bug", ["", "swaps", "shares"])
@pytest.mark.parametrize("again", ["others", "the same"])
def test_a_recording_that_holds_the_secrets_themselves_replays(stage: Stage, bug: str, again: str) -> None:
    """As one does that was made before their kind was known, or by another recorder."""
    play(stage, TWO, Mode(record="all"))
    path, run = stage.cassette(), Client.run + (again == "the same")
    for number, user in ((1, "alice"), (2, "bob")):
        path.write_text(path.read_text().replace(f"SCRUBBED_KEY-{number}", token(user, run)))

    found = checks_of(play(stage, TWO, bug=bug))

    assert (found == []) == (bug == "")


def test_a_sweep_plays_from_a_recording_that_holds_the_secrets_themselves(stage: Stage) -> None:
    text = ONE.replace("user: What", "id: swept\n    user: What") + "sweep: {turn: swept, disturb: [529]}\n"
    play(stage, text, Mode(record="all"))
    path = stage.cassette()
    path.write_text(path.read_text().replace("SCRUBBED_KEY-1", token("main", 99)))

    stage.options = {**MODEL, "bug": ""}
    (base,) = stage.scenarios(text)
    (point,) = points(stage.config(ME), base)
    (folder := stage.root / "point").mkdir()

    played = perform(prepare(stage.config(ME), point, Mode()), folder)

    assert "miss" not in dict(checks_of(played))
    assert played.transcript.interactions[0].origin == "replayed"


def test_a_placeholder_that_is_sent_back_as_it_is_equals_itself() -> None:
    recorded = _asked("Use SCRUBBED_KEY-1, not SCRUBBED_KEY-2.")
    bound = Bindings()

    same = _asked("Use SCRUBBED_KEY-1, not SCRUBBED_KEY-2.")
    other = _asked("Use SCRUBBED_KEY-2, not SCRUBBED_KEY-1.")

    assert recorded.key == other.key
    assert bound.fits(recorded.marks, same.marks) == []
    assert bound.fits(recorded.marks, other.marks) is None


def test_words_that_only_look_like_secrets_are_none() -> None:
    words = [
        "see /home/settings and /home/settings/profile",
        "the table user_preferences, user_notificationsettings",
        ".sk-fading-circle .sk-circle1 {} .sk-folding-cube-of-the-page {}",
        "org-administratorsettings and proj_internationalisation",
        "xoxo-hugs-and-kisses-to-all-of-you",
        "The scheme is Bearer authentication-and-authorisation, as ever",
    ]

    assert [text for text in words if NOTHING_KNOWN.finds(text)] == []


@pytest.mark.parametrize(
    "secret",
    [
        "sk-ant-api03-" + "Ab1_" * 10,
        "sk-proj-" + "Zx9-" * 10,
        "sk-" + "0123456789abcdef" * 2,
        "sk-or-v1-" + "0123456789abcdef" * 4,
        "/home/ada.lovelace",
        "/home/ada/.ssh",
        "/Users/ada",
        r"C:\Users\ada",
        str(Path.home()),
        "user_01H8XYZabcdefgh1234",
    ],
)
def test_what_is_secret_is_still_found(secret: str) -> None:
    assert NOTHING_KNOWN.finds(f"It is {secret} that I mean")


def test_a_token_that_stands_in_the_scenario_is_no_secret_and_check_names_it(project: Project) -> None:
    mine = token("ada", 1)
    text = f"scenario: on purpose\nsteps:\n  - user: My key is {mine}, in /home/ada.lovelace/notes.\n"
    project.write("scenarios/talk.yaml", text)

    recorded = project.convtest("record")
    checked = project.convtest("check")

    assert recorded.code == 0, recorded.text
    assert mine in project.read("cassettes/talk/on-purpose.yaml")
    assert "scenarios/talk.yaml:3" in checked.err
    assert "looks like a secret" in checked.err
    assert checked.code == 0, checked.err
    project.write("scenarios/talk.yaml", text.replace("Zx9", "Zx8"))
    assert project.convtest("check").code == 2, "the cassette holds a key that no scenario has"


def test_check_names_the_headers_that_another_recorder_kept(project: Project) -> None:
    kept = {"x-api-key": ["4fc603f7-f097"], "cookie": ["__cf_bm=tti"], "authorization": ["Basic dXNlcg=="]}
    answered = {"set-cookie": ["session=abc"], "openai-organization": ["acme"], "content-type": ["application/json"]}
    one = {
        "request": {"method": "POST", "uri": "https://api.openai.com/v1/responses", "body": "{}", "headers": kept},
        "response": {"status": {"code": 200, "message": "OK"}, "headers": answered, "body": {"string": "{}"}},
    }
    project.write("pyproject.toml", SECTION)
    project.write("cassettes/x/y.yaml", yaml.safe_dump({"interactions": [one], "version": 1}))

    checked = project.convtest("check")

    told = re.findall(r"interaction 1: a secret stands here: the header (\S+),", checked.err)
    assert sorted(told) == sorted([*kept, "set-cookie", "openai-organization"])
    assert checked.code == 2
    assert "tti" not in checked.err


@pytest.mark.parametrize("first", [5, 9, 20])
def test_an_answer_that_is_interrupted_inside_a_secret_replays(stage: Stage, first: int) -> None:
    """Recorded with the beginning of a key in the history that follows; replayed without it, by the same client."""
    text = """
    scenario: cut
    steps:
      - user: Tell me the key.
        interrupt: {after: 4}
        expect: {ended: interrupted}
      - user: Go on.
        expect: {sent: {contains: The answer is}}
    """
    good = "convtest.clients.messages.client:MessagesClient"
    key = token("ada", 1)

    def edit(data: bytes) -> bytes:
        return data.replace(b"forty", key[:first].encode()).replace(b"-two", key[first:].encode())

    with model(Behaviour(edit=edit, pause=0.02)) as (url, _):
        recorded = stage.play(text, good, Mode(record="all"), upstream=url)
    replayed = stage.play(text, good, upstream=url)

    kept = stage.cassette().read_text()
    assert checks_of(recorded) == checks_of(replayed) == []
    assert key[:first] in _sent(recorded)
    assert key[:5] not in kept
    assert key[:5] not in str(recorded.result())
    assert "SCRUBBED_KEY-1" in kept


def test_the_beginning_of_a_secret_is_in_no_file_neither_in_the_stream_nor_after_it() -> None:
    secret = token("ada", 1)
    for size in range(4, len(secret)):
        pieces = ["The key ", "is ", *(secret[i : i + 3] for i in range(0, size, 3))]
        pieces[-1] = pieces[-1][: size - 3 * ((size - 1) // 3)]
        cut = _streamed(1, [{"role": "user", "content": "Which key?"}], pieces, ended="closed_by_client")
        said = "".join(pieces)
        asked = [
            {"role": "user", "content": "Which key?"},
            {"role": "assistant", "content": f"{said} [interrupted]"},
            {"role": "user", "content": "Go on."},
        ]
        later = _streamed(2, asked, ["It is ", secret, "."])

        kept = to_text([cut, later])
        first, second = from_plain(yaml.safe_load(kept))

        assert secret[:5] not in kept, kept
        assert texts_of(first.body) == ["The key is "]
        assert "The key is  [interrupted]" in second.canonical.texts()
        assert [len(one) > 0 for one in _deltas(first)] == [True] * len(pieces) or len(pieces) > 11
        assert texts_of(second.body) == ["It is SCRUBBED_KEY-1."]


TOKENS = st.builds(
    lambda kind, rest: {
        "key": f"sk-ant-api03-A1{rest}",
        "home": f"/Users/u{rest}",
        "account": f"user_01A{rest}{rest}",
    }[kind],
    st.sampled_from(["key", "home", "account"]),
    st.text("abcdefXYZ0123456789", min_size=8, max_size=12).map(
        # One letter over and over would be a dummy.
        lambda text: "".join(map("".join, zip(text, "q4Zw8Kp1Vn6R", strict=False)))
    ),
)
WORDS = st.sampled_from([" and ", ", ", " 7", "\n", '" ', " é "])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(TOKENS, WORDS), min_size=1, max_size=8))
def test_law_scrubbing_is_injective_and_can_be_undone(parts: list[tuple[str, str]]) -> None:
    names = Names(NOTHING_KNOWN)
    text = "".join(f" {secret}{word}" for secret, word in parts)
    known = {secret: names.text(secret) for secret, _ in parts}

    scrubbed = names.text(text)

    assert len(set(known.values())) == len(known)
    assert not any(secret in scrubbed for secret in known)
    back = {token: secret for secret, token in known.items()}
    undone = "".join(_put_back(scrubbed, back))
    assert undone == text
    assert names.text(scrubbed) == scrubbed


def _put_back(text: str, back: dict[str, str]) -> list[str]:
    found = placeholders_in(text)
    edges = [0, *(edge for one in found for edge in (one.start, one.end)), len(text)]
    pieces = [text[a:b] for a, b in pairwise(edges)]
    return [back[piece] if index % 2 else piece for index, piece in enumerate(pieces)]


@given(st.integers(1, 9999), st.text("0123456789", max_size=4))
def test_law_a_number_tells_its_own_length(number: int, more: str) -> None:
    (found,) = placeholders_in(f"{numbered('SCRUBBED_KEY', number)}{more}")

    assert (found.mark.kind, found.mark.token) == ("SCRUBBED_KEY", numbered("SCRUBBED_KEY", number))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_law_requests_are_bound_exactly_where_one_renaming_makes_them_equal(old: list[int], new: list[int]) -> None:
    """The recorded one holds placeholders, the one that is sent this run's values."""
    first = [token(f"user{n}", 1) for n in old]
    second = [token(f"other{n}", 2) for n in new]
    recorded = _asked(Names(NOTHING_KNOWN).text(" ".join(first)))
    sent = _asked(" ".join(second), NOTHING_KNOWN)

    fits = recorded.key == sent.key and Bindings().fits(recorded.marks, sent.marks) is not None

    renamed = len(old) == len(new) and len(set(zip(old, new, strict=True))) == len(set(old)) == len(set(new))
    assert fits == renamed


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(TOKENS, WORDS, st.text(max_size=5)), min_size=1, max_size=6),
    st.integers(1, 9),
)
def test_law_an_answer_comes_back_in_the_words_that_its_placeholders_are_bound_to(said: list[str], size: int) -> None:
    """However the stream was cut into events; nothing else changes, nor does the number of events."""
    text = "".join(f" {one} " for one in said)
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    one = _streamed(1, [{"role": "user", "content": text}], pieces)
    (kept,) = from_plain(yaml.safe_load(to_text([one])))
    again = _asked(text, NOTHING_KNOWN)
    bound = Bindings()

    assert bound.binds(kept.canonical.marks, again.marks)
    answer = bound.restored(kept.chunks)

    body = b"".join(chunk.data for chunk in answer)
    assert "".join(texts_of(body)) == text
    assert body.count(b"\n\n") == one.body.count(b"\n\n")


def test_two_keys_of_a_mapping_do_not_become_one() -> None:
    both = {token("ada", 1): 1, token("bob", 1): 2}

    assert len(formed(both, NOTHING_KNOWN)) == 2
    assert len(list(marks_of(both, NOTHING_KNOWN))) == 2


def test_a_message_that_quotes_a_part_of_a_secret_shows_nothing_of_it() -> None:
    secret = token("ada", 1)
    names = Names(NOTHING_KNOWN).learn([_streamed(1, [{"role": "user", "content": secret}], ["x"])])

    for start in range(len(secret) - 12):
        shown = names.part(f"'…{secret[start : start + 12]}…' (of 60)")
        assert secret[start + 2 : start + 10] not in shown


def test_what_is_recorded_anew_beside_what_was_bound_keeps_its_placeholders(stage: Stage) -> None:
    play(stage, TWO, Mode(record="all"))
    longer = f"{TWO}  - {{session: bob, user: And again.}}\n"

    grown = play(stage, longer, Mode(record="new_episodes"))
    replayed = play(stage, longer)

    assert checks_of(grown) == checks_of(replayed) == []
    kept = stage.cassette().read_text()
    assert "sk-ant" not in kept
    assert set(re.findall(r"SCRUBBED_KEY-\d+", kept)) == {"SCRUBBED_KEY-1", "SCRUBBED_KEY-2"}


@pytest.mark.parametrize("old", ["12", "21"])
def test_two_recordings_with_their_own_numbers_are_one_conversation_if_one_renaming_says_so(old: str) -> None:
    def recorded(numbers: str) -> list[Interaction]:
        texts = [f"My token is SCRUBBED_KEY-{number}." for number in numbers]
        return [_streamed(n, [{"role": "user", "content": text}], ["Noted."]) for n, text in enumerate(texts, 1)]

    assert list(compare(recorded(old * 2), recorded("1212"))) == []
    assert [one.verdict for one in compare(recorded(old * 2), recorded("1211"))] == ["request"]
    assert [one.verdict for one in compare(recorded("1111"), recorded("1211"))] == ["request"]


def test_errors_show_no_secret(stage: Stage) -> None:
    from convtest.errors import ScenarioChanged

    play(stage, ONE, Mode(record="all"))

    with pytest.raises(ScenarioChanged) as raised:
        play(stage, ONE.replace("Remember it", "Keep it"))

    assert "SCRUBBED_KEY-1" in str(raised.value)
    assert "sk-ant" not in str(raised.value)


def _sent(played: Played) -> str:
    last = played.transcript.turns()[-1].sent()
    assert last is not None
    return "\n".join(last.texts())


def _asked(text: str, finds: Scrubber | None = None) -> Any:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return canonical("POST", "https://api.anthropic.com/v1/messages", msgspec.json.encode(body), finds)


def _streamed(number: int, messages: list[dict[str, Any]], pieces: list[str], ended: Any = "complete") -> Interaction:
    lines: list[dict[str, Any]] = [{"type": "message_start", "message": {"role": "assistant", "content": []}}]
    lines += [{"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}]
    lines += [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": p}} for p in pieces]
    if ended == "complete":
        lines += [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]
    events = [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in lines]
    chunks = [Chunk(float(number), event) for number, event in enumerate(events)]
    return Interaction(
        number=number,
        lane="main",
        turn=number,
        request=Request(
            method="POST",
            url="https://api.anthropic.com/v1/messages",
            headers=(),
            body=msgspec.json.encode({"model": "m", "messages": messages}),
        ),
        status=200,
        headers=(("content-type", "text/event-stream"),),
        chunks=chunks,
        ended=ended,
    )


def _deltas(one: Interaction) -> list[str]:
    found = re.findall(rb"^data: (.*)$", one.body, re.MULTILINE)
    return [data["delta"]["text"] for line in found if "text" in (data := json.loads(line)).get("delta", {})]
