"""`convtest check` reads cassettes as cassettes, and finds what writing would have taken out, and nothing else."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import yaml

from tests.planted import planted
from tests.project import SECTION, Project
from tests.test_leaks import streamed

KEY = next(one.secret for one in planted(7) if one.kind == "groq")
PEM = next(one.secret for one in planted(7) if one.kind == "openssh key")
JSON = {"content-type": ["application/json"]}
SSE = {"content-type": ["text/event-stream"]}


def cassette(
    *,
    asked: Any = "{}",
    answered: Any = "{}",
    sent: dict[str, list[str]] | None = None,
    came: dict[str, list[str]] | None = None,
    uri: str = "https://api.openai.com/v1/chat/completions",
) -> dict[str, Any]:
    one = {
        "request": {"method": "POST", "uri": uri, "body": asked, "headers": sent or {}},
        "response": {"status": {"code": 200, "message": "OK"}, "headers": came or JSON, "body": {"string": answered}},
    }
    return {"interactions": [one], "version": 1}


def checked(project: Project, files: dict[str, Any]) -> dict[str, Any]:
    project.write("pyproject.toml", SECTION)
    for name, data in files.items():
        dumped = json.dumps if name.endswith("json") else yaml.safe_dump
        project.write(name, data if isinstance(data, str) else dumped(data))
    said = project.convtest("check", "--json")
    assert KEY not in said.text
    assert said.code == (2 if json.loads(said.out)["errors"] else 0)
    return dict(json.loads(said.out))


def kinds_in(found: dict[str, Any]) -> dict[str, list[str]]:
    """By file."""
    told: dict[str, list[str]] = {}
    for one in found["secrets"]:
        told.setdefault(one["file"], []).append(one["kind"])
    return told


def test_the_project_that_another_recorder_made(project: Project) -> None:
    """Headers of any shape: cookies, an API key that is a uuid, Basic authorization, organisations."""
    kept = {
        "cookie": ["__cf_bm=ttiNqGMkAbC10hGzDbQabaVerySecretSessionCookie; _cfuvid=abcdef"],
        "x-api-key": ["4fc603f7-f097-425f-8bef-e0578aa7db00"],
        "authorization": ["Basic dXNlcjpodW50ZXIyaHVudGVyMg=="],
    }
    came = {
        "anthropic-organization-id": ["4257e925-ee99-4ee8-9c62-8e5371000000"],
        "openai-organization": ["acme-internal-ab12cd"],
        "set-cookie": ["session=abcdefghijklmnop; HttpOnly"],
    }

    found = checked(project, {"cassettes/x/y.yaml": cassette(sent=kept, came=came)})

    told = [one["place"] for one in found["secrets"] if one["kind"] == "HEADER"]
    assert sorted(told) == sorted(f"the header {name}, as it was sent" for name in (*kept, *came))
    assert {one["file"] for one in found["secrets"]} == {"cassettes/x/y.yaml"}
    assert [one["line"] for one in found["secrets"] if one["kind"] == "PASSWORD"] == [6]
    assert found["errors"] == [error for error in found["errors"] if "a secret stands here" in error]
    assert set(found) == {"items", "errors", "warnings", "secrets", "proposed"}
    assert not re.search(r"tti|4fc603f7|dXNlcjp|acme|abcdefgh", json.dumps(found))


MESSAGE = json.dumps({"choices": [{"message": {"role": "assistant", "content": f"It is {KEY}."}}]})
PLACES: dict[str, tuple[dict[str, Any], str]] = {
    "address": (cassette(uri=f"https://x.example/v1?key={KEY}"), "KEY"),
    "other header": (cassette(sent={"x-note": [f"see {KEY}"]}), "KEY"),
    "secret header": (cassette(sent={"x-acme-token": ["0badcafe"]}), "HEADER"),
    "request": (cassette(asked=json.dumps({"note": f"a\n{KEY}"})), "KEY"),
    "answer": (cassette(answered=MESSAGE), "KEY"),
    "answer, encoded": (
        cassette(answered=gzip.compress(MESSAGE.encode()), came={**JSON, "content-encoding": ["gzip"]}), "KEY",
    ),
    "answer in letters": (
        cassette(answered='{"note": "' + "".join(f"\\u{ord(letter):04x}" for letter in KEY) + '"}'), "KEY",
    ),
    "key on many lines": (cassette(asked=json.dumps({"note": PEM})), "PRIVATE_KEY"),
    "stream": (
        cassette(answered=streamed([KEY[i : i + 3] for i in range(0, len(KEY), 3)]).body.decode(), came=SSE), "KEY",
    ),
    "end of a stream": (
        cassette(
            answered=streamed(["It is ", KEY[:20]], stop="max_tokens").body.decode(), came=SSE,
            uri="https://api.anthropic.com/v1/messages",
        ),
        "BEGINNING",
    ),
}  # fmt: skip


def test_it_is_found_wherever_it_stands(project: Project) -> None:
    files = {f"cassettes/{number}.yaml": data for number, (data, _) in enumerate(PLACES.values())}

    found = checked(project, files)

    told = kinds_in(found)
    assert dict(zip(PLACES, (set(told[name]) for name in files), strict=True)) == {
        place: {kind} for place, (_, kind) in PLACES.items()
    }
    assert PEM.splitlines()[3] not in json.dumps(found)


def test_files_of_every_name_are_read_and_lines_are_told(project: Project) -> None:
    names = ["cassettes/x/y.yaml.new", "cassettes/x/y.yaml.partial", "cassettes/x.yml", "cassettes/y.json"]
    snapshot = "scenarios/__snapshots__/talk/talk.txt"
    project.write("scenarios/talk.yaml", "scenario: talk\nsteps:\n  - user: Hello\n")

    found = checked(project, {**{name: cassette(answered=MESSAGE) for name in names}, snapshot: f"first\nkey: {KEY}\n"})

    assert kinds_in(found) == {name: ["KEY"] for name in (*names, snapshot)}
    assert found["secrets"][-1] == {
        "file": snapshot, "kind": "KEY", "place": "key: SCRUBBED_KEY", "line": 2, "interaction": None,
    }  # fmt: skip


DUMMIES = "DUMMY|REDACTED|sk-test|Bearer YOUR_API_KEY|SCRUBBED|Bearer SCRUBBED_KEY-1|xxxxxxxxxxxx|***".split("|")


def test_dummies_are_no_secrets_and_a_key_beside_one_is(project: Project) -> None:
    clean = {
        f"cassettes/clean-{number}.yaml": cassette(sent={"authorization": [dummy], "x-api-key": [dummy]})
        for number, dummy in enumerate(DUMMIES)
    }
    kept = {
        f"cassettes/kept-{number}.yaml": cassette(sent={"authorization": [f"{dummy} 4fc603f7-f097-425f"]})
        for number, dummy in enumerate(DUMMIES)
    }

    found = checked(project, {**clean, **kept})

    assert kinds_in(found) == {name: ["HEADER"] for name in kept}


def test_what_was_written_here_is_clean(project: Project) -> None:
    here = Path(__file__).parent.parent / "cassettes"
    ours = {f"cassettes/{path.relative_to(here)}": path.read_text() for path in sorted(here.rglob("*.yaml"))}

    assert len(ours) > 40
    assert checked(project, ours)["secrets"] == []
