"""Requests in cassettes as "as before, and …": a smaller file, the same recording."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from vcr.persisters.filesystem import FilesystemPersister
from vcr.serializers import yamlserializer

from convtest.cassettes import store
from convtest.cassettes.folding import AS_BEFORE, folded, unfolded
from convtest.cassettes.format import KEY, to_text
from convtest.cassettes.forms import NotACassette
from convtest.cassettes.naming import Names
from convtest.cassettes.reading import read
from convtest.cassettes.scrubbing import NOTHING_KNOWN
from convtest.cassettes.store import Cassette
from convtest.cassettes.yaml_text import dump
from convtest.errors import UnreadableCassette
from convtest.wire.interaction import Chunk, Interaction, Request
from tests.project import Project

URL = "https://api.anthropic.com/v1/messages"
TALK = """
scenario: talk
sessions: {ada: {}, bob: {}}
tools:
  look_up: {input: {what: string}, answers: [{return: found in the attic}]}
steps:
  - {session: ada, user: My name is Ada.}
  - {session: bob, user: My name is Bob.}
  - session: ada
    user: Look it up.
    simulate: [{calls: [{look_up: {what: it}}]}, {text: Here it is.}]
  - {session: bob, user: What is my name?, expect: {contains: Bob}}
  - {session: ada, user: What is my name?, expect: {contains: Ada}}
"""
ADDED = '\n[tool.convtest]\nrequests = "added"\n'
FILE = "cassettes/talk/talk.yaml"


def configured(project: Project, requests: str) -> Project:
    text = project.read("pyproject.toml")
    text = re.sub(r'requests = "\w+"\n', "", text)
    project.write("pyproject.toml", text.replace("[tool.convtest]\n", f'[tool.convtest]\nrequests = "{requests}"\n', 1))
    return project


def test_a_recording_with_requests_as_before_is_small_and_replays(project: Project) -> None:
    project.write("scenarios/talk.yaml", TALK)
    assert project.convtest("record").code == 0
    whole, shown = project.read(FILE), project.convtest("show", FILE).out

    done = configured(project, "added").convtest("record", "--mode", "all")

    assert done.code == 0, done.text
    small = project.read(FILE)
    assert f"{AS_BEFORE}: " in small
    assert small.count("My name is Ada.") == 1 < whole.count("My name is Ada.")
    assert project.pytest("-q", "--convtest-strict").code == 0
    assert project.convtest("show", FILE).out == shown
    assert configured(project, "whole").pytest("-q", "--convtest-strict").code == 0, "read whatever is written"
    project.convtest("record", "--mode", "all")
    assert project.read(FILE) == whole, "and written whole again"


def test_a_client_that_loses_its_history_is_caught_with_such_a_cassette_too(project: Project) -> None:
    configured(project, "added").write("scenarios/talk.yaml", TALK)
    assert project.convtest("record").code == 0
    toml = project.read("pyproject.toml")
    project.write("pyproject.toml", toml.replace('model = "', 'max_messages = 1\nmodel = "', 1))

    done = project.pytest("-q", "--convtest-strict")

    assert done.code == 1, done.text
    assert "is not sent: user: My name is Ada." in done.text


def test_plain_vcrpy_plays_it(tmp_path: Path) -> None:
    store.save(tmp_path / "c.yaml", talk(), added=True)

    requests, _ = FilesystemPersister.load_cassette(str(tmp_path / "c.yaml"), yamlserializer)

    assert [one.uri for one in requests] == [URL, URL]


def test_an_unknown_choice_is_refused(project: Project) -> None:
    done = configured(project, "less").pytest("-q")

    assert done.code == 4
    assert 'requests is "whole" or "added", and not \'less\'' in done.text


def test_a_recording_made_anew_leaves_what_is_the_same(tmp_path: Path) -> None:
    cassette = Cassette(tmp_path / "c.yaml", "c.yaml", added=True)
    cassette.renew(talk(), Names(NOTHING_KNOWN))
    first = cassette.path.read_bytes()
    again = talk()
    for one in again:
        one.first_byte = 33.0

    cassette.renew(again, Names(NOTHING_KNOWN))

    assert cassette.path.read_bytes() == first
    again[1].request = request([*MESSAGES[:2], {"role": "user", "content": "Something else."}])
    cassette.renew(again, Names(NOTHING_KNOWN))
    assert [one.request.body for one in cassette.load()] == [body(one) for one in again]


MESSAGES = [
    {"role": "user", "content": "Hello."},
    {"role": "assistant", "content": "Hi."},
    {"role": "user", "content": "Bye."},
]


def request(messages: list[Any]) -> Request:
    return Request(method="POST", url=URL, headers=(), body=json.dumps({"model": "m", "messages": messages}).encode())


def talk() -> list[Interaction]:
    return [
        Interaction(
            number=number, lane="main", turn=number, request=request(MESSAGES[: 2 * number - 1]), status=200,
            ended="complete", chunks=[Chunk(1.0, b"{}")], first_byte=5.0,
        )
        for number in (1, 2)
    ]  # fmt: skip


def body(one: Interaction) -> bytes:
    """As a cassette has it."""
    plain = read(to_text([one]).encode())
    return str(plain["interactions"][0]["request"]["body"]).encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-2, 2) | st.text("aé1 \n", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=6,
)
GROWING = st.lists(st.sampled_from([0, 1, True, "a", {"b": 1}]), max_size=4)
BODIES = st.lists(
    st.dictionaries(st.sampled_from(["model", "tools", "messages", "an odd key", "n"]), JSON, max_size=4)
    | st.builds(lambda many: {"model": "m", "messages": many}, GROWING)
    | JSON,
    max_size=6,
)


@given(bodies=BODIES, lanes=st.lists(st.sampled_from(["ada", "bob", None]), min_size=6, max_size=6))
def test_law_what_is_folded_unfolds_to_the_same(bodies: list[Any], lanes: list[str | None]) -> None:
    taken = [
        Interaction(
            number=number, lane=lane, turn=1, status=200, ended="complete",
            request=Request(method="POST", url=URL, headers=(), body=json.dumps(one).encode()),
        )
        for number, (one, lane) in enumerate(zip(bodies, lanes, strict=False), 1)
    ]  # fmt: skip
    whole = read(to_text(taken).encode())

    small = read(dump(folded(whole, KEY)).encode())

    assert unfolded(small, KEY, 10**6) == whole
    assert unfolded(whole, KEY, 0) is whole


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ("9 messages:1", "no request 9 of JSON stands before it"),
        ("2 messages:1", "no request 2 of JSON stands before it"),
        ("1 messages:7", "what it goes on from has no messages:7"),
        ("1 gone", "what it goes on from has no gone"),
        ("1 model:1", "what it goes on from has no model:1"),
        ("1", "a number and keys were expected, not '1'"),
        ("messages", "a number and keys were expected"),
        (["1"], "a number and keys were expected"),
    ],
)
def test_what_does_not_fit_is_told_and_never_taken_for_a_request(tmp_path: Path, told: Any, says: str) -> None:
    path = tmp_path / "c.yaml"
    store.save(path, talk(), added=True)
    plain = yaml.safe_load(path.read_text())
    plain["interactions"][1]["response"][KEY][AS_BEFORE] = told
    path.write_text(dump(plain))

    with pytest.raises(UnreadableCassette, match=re.escape(f"interaction 2: response.{KEY}.{AS_BEFORE}: {says}")):
        store.load(path, shown="c.yaml")


def test_what_unfolds_to_more_than_a_cassette_may_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    store.save(path, talk(), added=True)

    with pytest.raises(NotACassette, match="requests unfold to more than 10 bytes"):
        unfolded(read(path.read_bytes()), KEY, 10)
