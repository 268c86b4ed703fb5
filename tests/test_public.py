"""What users may import: listed in one place, loaded when it is used, and changed by nobody who does not mean it."""

import ast
import inspect
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

import convtest
from convtest.clients.registry import KINDS
from tests.project import NAME, Project

FACE = Path(__file__).with_name("public_face.txt")
REPOSITORY = Path(__file__).parent.parent


def described(name: str) -> list[str]:
    """One line for the name, one for each public member of a class."""
    value: Any = getattr(convtest, name)
    if isinstance(value, str):
        return [f"{name}: text"]
    if inspect.isfunction(value):
        return [f"{name}{inspect.signature(value)}"]
    if not inspect.isclass(value):
        return [f"{name} = {value}"]
    if is_dataclass(value):
        members = [
            f"{one.name}: {one.type if isinstance(one.type, str) else _named(one.type)}" for one in fields(value)
        ]
    elif issubclass(value, msgspec.Struct):
        told = [one for one in msgspec.structs.fields(value) if not one.name.startswith("_")]
        members = [f"{one.name}: {_named(one.type)}" for one in told]
    else:
        members = []
    members += [_member(key, one) for key, one in vars(value).items() if not key.startswith("_") and _is_member(one)]
    bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
    return [f"class {name}{f'({bases})' if bases else ''}", *(f"    {member}" for member in dict.fromkeys(members))]


def _named(kind: Any) -> str:
    if isinstance(kind, str):
        return kind
    return str(kind) if not inspect.isclass(kind) or str(kind).count("[") else kind.__name__


def _is_member(value: Any) -> bool:
    return inspect.isfunction(value) or isinstance(value, property)


def _member(key: str, value: Any) -> str:
    return f"{key}: property" if isinstance(value, property) else f"{key}{inspect.signature(value)}"


def test_the_public_face_changes_only_on_purpose() -> None:
    """If it is meant: `python -m tests.test_public`, and a line in CHANGELOG.md."""
    assert face() == FACE.read_text(encoding="utf-8")


def face() -> str:
    text = "\n".join(line for name in convtest.__all__ for line in described(name)) + "\n"
    return text.replace("pathlib._local.", "pathlib.")  # where Python 3.13 has it


def test_every_name_has_its_docstring_and_its_place_in_the_docs() -> None:
    text = (REPOSITORY / "docs/api.md").read_text()
    for name in convtest.__all__:
        assert f"`{name}" in text, name
        value = getattr(convtest, name)
        assert inspect.getdoc(value) or isinstance(value, str) or name in {"Event"}, name


def test_the_names_for_type_checkers_are_those_that_are_loaded() -> None:
    tree = ast.parse(Path(convtest.__file__).read_text())
    (guarded,) = [node for node in tree.body if isinstance(node, ast.If)]
    told = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert set(told) == set(convtest.__all__) == {*convtest._WHERE, "__version__"}
    assert {name: module for name, (module, _) in told.items() if name != "__version__"} == {
        name: f"convtest.{module}" for name, module in convtest._WHERE.items()
    }
    assert set(dir(convtest)) == set(convtest.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Opnening'"):
        _ = convtest.Opnening


def test_nothing_is_loaded_before_it_is_used() -> None:
    code = "import sys, convtest; print(*sorted(n for n in sys.modules if n.startswith('convtest')))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["convtest"]


def test_pytest_starts_without_clients_wire_or_scenarios(project: Project) -> None:
    project.write("test_plain.py", "def test_nothing(): pass\n")
    project.write(
        "conftest.py",
        """
        import sys
        def pytest_unconfigure(config):
            rooms = {name.split(".")[1] for name in sys.modules if name.startswith("convtest.")}
            of_the_gateway = {name for name in sys.modules if name.startswith("convtest.gateway.")}
            print("ROOMS", *sorted(rooms - {"gateway"}), *of_the_gateway)
        """,
    )

    with_scenarios = project.pytest("-q", "-s", "test_plain.py").out
    project.write("pyproject.toml", "")
    without = project.pytest("-q", "-s", "test_plain.py").out

    lines = [next(line for line in out.splitlines() if line.startswith("ROOMS")) for out in (with_scenarios, without)]
    assert (
        lines
        == ["ROOMS config errors later limits patterns plugin policy prices structs convtest.gateway.standing"] * 2
    )


def test_an_item_imports_what_it_is_played_with(project: Project) -> None:
    """Replayed with one kind of client: no simulator, no other kind, no server, no httpx2."""
    project.write("scenarios/greeting.yaml", "scenario: greeting\nsteps:\n  - user: Hello.\n")
    assert project.convtest("record").code == 0
    project.write(
        "conftest.py",
        """
        import gc, sys
        def pytest_unconfigure(config):
            ours = ("convtest.", "httpx2", "uvicorn")
            print("LOADED", *sorted(name for name in sys.modules if name.startswith(ours)))
            print("COLLECTS", gc.isenabled())
        """,
    )

    out = project.pytest("-q", "-s").out
    loaded = next(line for line in out.splitlines() if line.startswith("LOADED")).split()

    assert "convtest.clients.messages.client" in loaded
    rooms = {".".join(name.split(".")[:3]) for name in loaded}
    assert not rooms & {
        "convtest.clients.claude",
        "convtest.clients.command",
        "convtest.clients.sse",
        "httpx2",
        "uvicorn",
    }
    assert not {"convtest.simulator.source", "convtest.gateway.server", "convtest.clients.frameworks"} & {*loaded}
    assert "COLLECTS True" in out


def test_every_kind_stands_where_it_is_looked_for() -> None:
    assert {name: kind.name for name, kind in KINDS.items()} == {name: name for name in KINDS}


USER = """
from collections.abc import AsyncIterator

from convtest import (
    Event, MessagesClient, Opening, Result, SessionClient, SessionError, TextDelta, Transcript, TurnEnd, read_results,
)


class Echo:
    def __init__(self, opening: Opening) -> None:
        self._id = opening.resume
        self._text = ""

    @property
    def session_id(self) -> str | None:
        return self._id

    async def connect(self) -> None:
        if self._id is not None:
            raise SessionError("session_not_found", "there is none")

    async def disconnect(self) -> None: ...

    async def query(self, text: str) -> None:
        self._text = text

    async def interrupt(self) -> None: ...

    async def receive_response(self) -> AsyncIterator[Event]:
        yield TextDelta(text=self._text)
        yield TurnEnd()


class Forgetful(MessagesClient):
    async def query(self, text: str) -> None:
        await self.clear_history()
        await super().query(text)


def client(opening: Opening) -> SessionClient:
    return Echo(opening) if opening.fork else Forgetful(opening)


def polite(transcript: Transcript) -> None:
    assert all("damn" not in turn.text for turn in transcript.turns())


def outcomes(path: str) -> list[str]:
    from pathlib import Path

    found: list[Result] = list(read_results(Path(path)))
    return [one.outcome for one in found]
"""


def test_a_users_project_is_type_checked_strictly_against_it(tmp_path: Path) -> None:
    """As it is imported here; tests/test_package.py does the same with the wheel."""
    (tmp_path / "mine.py").write_text(USER)

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "mine.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout


def test_a_users_client_plays(project: Project) -> None:
    project.write("mine.py", USER)
    section = project.read("pyproject.toml").replace('kind = "messages"', 'kind = "python"\ntarget = "mine:client"')
    project.write("pyproject.toml", section)
    project.write("scenarios/name.yaml", NAME)

    done = project.pytest("-q")

    assert done.code == 1
    assert "prompts_once" in done.out


if __name__ == "__main__":
    FACE.write_text(face(), encoding="utf-8")


@pytest.mark.parametrize("name", ["MessagesClient", "ChatCompletionsClient"])
def test_clients_to_build_upon_are_found_where_adapters_imported_them_before(name: str) -> None:
    from convtest.clients import messages

    assert getattr(messages, name) is getattr(convtest, name)
    with pytest.raises(AttributeError, match=r"module 'convtest.clients.messages' has no attribute 'Other'"):
        messages.Other  # noqa: B018  looked up, as an import does
