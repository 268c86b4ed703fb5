"""Nothing that a model, a program or a file says may steer a terminal: it is shown, letter by letter."""

import json
import re
from pathlib import Path

import pytest

from tests.project import SECTION, Project

STEERS = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202etxt.exe\r\x08"
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def scenario(title: str, **more: object) -> str:
    """In JSON, which is YAML, and spells every letter as an escape."""
    step = {
        "user": f"Say {STEERS}",
        "simulate": [{"text": f"It is {STEERS} there"}],
        "expect": {"contains": f"x{STEERS}"},
    }
    return json.dumps({"scenario": title, "steps": [step], **more})


@pytest.fixture
def hostile(project: Project) -> Project:
    project.write("pyproject.toml", SECTION)
    project.write("scenarios/a.yaml", scenario(f"title {STEERS}", id="a", snapshot=True))
    project.write("scenarios/b.yaml", scenario("skipped", skip=f"because {STEERS}"))
    project.write("scenarios/c.yaml", scenario("row ${p}", params={"p": [f"one{STEERS}", "two"]}))
    return project


def test_pytest(hostile: Project) -> None:
    ran = hostile.pytest("-rA", "-v", "--convtest-results=out.jsonl")
    hostile.write("scenarios/d.yaml", json.dumps({"scenario": "x", "steps": [{f"us{STEERS}er": "Hello"}]}))
    refused = hostile.pytest("-v")

    for one in (ran, refused):
        assert UNSEEN.findall(one.text) == []
        assert one.code != 0
        assert "owned" in one.text
    assert r"\u001b[2J" in ran.text


def test_commands(hostile: Project) -> None:
    hostile.write("scenarios/a.yaml", scenario(f"title {STEERS}", id="a").replace(json.dumps(f"x{STEERS}"), '"there"'))
    runs = [
        hostile.convtest("record", "scenarios/a.yaml"),
        hostile.convtest("check"),
        hostile.convtest("show", "cassettes/a/a.yaml"),
    ]
    other = hostile.read("cassettes/a/a.yaml").replace("It", "He")
    hostile.write("cassettes/b.yaml", other)
    runs += [
        hostile.convtest("diff", "cassettes/a/a.yaml", "cassettes/b.yaml"),
        hostile.convtest("show", f"nope{STEERS}"),
        hostile.convtest("record", "-k", STEERS),
        hostile.convtest(STEERS),
    ]

    for ran in runs:
        assert UNSEEN.findall(ran.text) == [], ran.text
    assert runs[0].code == 0, runs[0].text
    assert r"\u001b[2J" in runs[2].out
    assert runs[3].code == 1
    assert all(ran.code == 2 for ran in (runs[4], runs[6]))


def test_every_command_says_what_it_says_through_one_place() -> None:
    here = Path(__file__).parent.parent / "convtest" / "cli"
    echoing = [path.name for path in sorted(here.glob("*.py")) if "click.echo" in path.read_text()]

    assert echoing == ["saying.py"]
