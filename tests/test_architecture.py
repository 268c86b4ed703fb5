"""Who may import whom, and which third-party package stands in which place; anything else fails here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "convtest"

GROUND = {"errors", "clock", "events", "textmatch"}
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "errors": set(),
    "clock": set(),
    "events": set(),
    "textmatch": set(),
    "network": {"errors"},
    "policy": set(),
    "config": {"errors", "policy"},
    "scenario": {"errors", "events", "textmatch"},
    "wire": {*GROUND, "scenario"},
    "clients": {*GROUND, "config", "policy", "scenario", "wire"},
    "simulator": {*GROUND, "scenario", "wire"},
    "cassettes": {*GROUND, "wire"},
    "transcript": {*GROUND, "policy", "scenario", "wire"},
    "placeholders": {"transcript"},
    "live": {*GROUND, "scenario", "wire", "clients", "transcript"},
    "children": {"clients", "wire"},
    "sessions": {*GROUND, "scenario", "wire", "clients", "transcript", "live"},
    "standalone": {"answering", "clock", "simulator", "wire", "cassettes"},
    "pytest_gateway": {"wire"},
    "runner": {*GROUND, "scenario", "wire", "clients", "transcript", "live", "sessions"},
    "conduct": {"transcript", "wire"},
    "checks": {*GROUND, "scenario", "wire", "transcript", "conduct"},
    "reporting": {*GROUND, "conduct", "scenario", "wire", "transcript", "checks", "cassettes"},
    "prepare": {*GROUND, "config", "scenario", "wire", "clients", "cassettes", "transcript"},
    "sweeping": {"errors", "clients", "config", "prepare", "scenario", "simulator", "wire"},
    "answering": {"clock", "prepare", "clients", "cassettes", "wire"},
    "play": {
        *GROUND, "network", "prepare", "scenario", "wire", "clients", "simulator", "cassettes", "transcript", "runner",
        "checks", "placeholders", "answering", "children", "sessions", "sweeping",
    },
    "probing": {
        "errors", "config", "clients", "scenario", "prepare", "play", "transcript", "checks", "conduct",
    },
    "conformance": {
        *GROUND, "network", "scenario", "wire", "clients", "simulator", "transcript", "runner", "checks", "reporting",
    },
    "recording": {*GROUND, "network", "answering", "prepare", "wire", "cassettes"},
    "pytest_plugin": {
        "errors", "config", "pytest_gateway", "pytest_items", "pytest_recording", "pytest_sweep", "recording",
    },
    "pytest_sweep": {"scenario"},
    "loading": {"config", "scenario"},
    "pytest_items": {
        "errors", "config", "loading", "clients", "scenario", "prepare", "play", "reporting", "pytest_plugin",
        "pytest_recording", "pytest_sweep", "sweeping",
    },
    "pytest_recording": {"scenario", "prepare", "recording", "wire", "pytest_plugin"},
    "inventory": {"errors", "config", "scenario", "prepare", "cassettes"},
    "cli": {
        "__init__", "errors", "config", "loading", "scenario", "prepare", "cassettes", "inventory", "reporting",
        "standalone", "wire", "probing",
    },
}  # fmt: skip
"""A room and the rooms it may import; data flows one way, nothing below imports a face, faces import no other face."""

ONLY_IN: dict[str, set[str]] = {
    "anyio": {
        "clock",
        "wire/tap",
        "wire/gate",
        "wire/gateway",
        "live",
        "runner",
        "play",
        "sessions",
        "clients/messages",
        "clients/sse",
        "clients/process",
        "clients/command",
        "standalone",
        "clients/hosting",
    },
    "claude_agent_sdk": {"clients/claude", "clients/claude_options", "clients/claude_sessions", "clients/claude_query"},
    "click": {"cli"},
    "filelock": {"cassettes/store"},
    "httpx": {
        "clients/messages",
        "clients/messages_sending",
        "clients/messages_turns",
        "clients/sse",
        "clients/hosting",
    },
    "msgspec": {
        "placeholders",
        "scenario",
        "wire",
        "clients",
        "simulator",
        "cassettes",
        "checks",
        "sessions",
        "conduct",
    },
    "jsonschema": {"checks/schemas"},
    "referencing": {"checks/schemas"},
    "psutil": {"clients/family"},
    "pytest": {"pytest_plugin", "pytest_items", "pytest_recording", "pytest_sweep"},
    "rich": {"cli/running"},
    "ruamel": {"scenario/nodes"},
    "starlette": {"wire/gateway"},
    "syrupy": {"pytest_items"},
    "uvicorn": {"wire/serving"},
    "yaml": {"scenario/nodes", "cassettes/reading", "cassettes/store"},
}

FACES_THAT_ARE_ONE = {
    ("pytest_plugin", "pytest_items"),
    ("pytest_plugin", "pytest_recording"),
    ("pytest_plugin", "pytest_sweep"),
}
"""The plugin is one face in three modules, so that nothing heavy is imported before it is needed."""


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for name in imports(path):
        if name == "convtest":
            found.add("__init__")
        elif name.startswith("convtest."):
            found.add(name.split(".")[1])
    return found


def test_every_room_is_in_the_table() -> None:
    assert {room_of(path) for path in modules()} == set(MAY_IMPORT)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    room = room_of(path)

    assert imported_rooms(path) - {room} <= MAY_IMPORT[room]


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_third_party_package_stands_in_its_place(path: Path) -> None:
    for name in imports(path):
        places = ONLY_IN.get(name.split(".")[0])
        if places is not None:
            assert name_of(path) in places or room_of(path) in places, f"{name} in {name_of(path)}"


def test_no_place_in_the_table_is_out_of_date() -> None:
    used = {(name.split(".")[0], place) for path in modules() for name in imports(path)
            for place in (name_of(path), room_of(path))}  # fmt: skip

    assert {(package, place) for package, places in ONLY_IN.items() for place in places} <= used


def test_only_known_packages_are_imported() -> None:
    import sys

    found = {name.split(".")[0] for path in modules() for name in imports(path)}

    assert found - set(sys.stdlib_module_names) - {"convtest"} == set(ONLY_IN)


def graph() -> dict[str, set[str]]:
    names = {f"convtest.{name_of(path)}".replace("/", ".").removesuffix(".__init__"): path for path in modules()}
    return {name: {one for one in imports(path) if one in names and one != name} for name, path in names.items()}


def test_there_is_no_import_cycle() -> None:
    edges = graph()
    for one, other in FACES_THAT_ARE_ONE:
        edges[f"convtest.{one}"].discard(f"convtest.{other}")
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        if name not in done:
            for other in edges[name]:
                visit(other, (*path, name))
            done.add(name)

    for name in edges:
        visit(name, ())


def test_commands_do_not_import_each_other() -> None:
    commands = {"init", "check", "record", "show", "diff", "schema"}
    for path in (PACKAGE / "cli").glob("*.py"):
        found = {name.split(".")[2] for name in imports(path) if name.startswith("convtest.cli.")}
        assert not found & commands, path


def test_a_planted_import_would_be_found(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text("from convtest.pytest_plugin import STATE\nimport convtest.runner\n")

    assert imported_rooms(planted) == {"pytest_plugin", "runner"}
    assert not imported_rooms(planted) <= MAY_IMPORT["checks"]


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_modules_are_small_and_say_what_they_are(path: Path) -> None:
    text = path.read_text()
    limit = 420 if name_of(path) == "scenario/grammar" else 330

    assert ast.get_docstring(ast.parse(text))
    assert text.count("\n") <= limit


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_functions_are_small(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 55, f"{node.name} in {name_of(path)}"
