"""Who may import whom, and which third-party package stands in which place; anything else fails here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "convtest"

GROUND = {"errors", "clock", "events", "textmatch", "limits", "patterns", "later"}
ANYWHERE = {"structs"}
MAY_IMPORT: dict[str, set[str]] = {
    "structs": set(),
    "errors": set(),
    "clock": set(),
    "events": set(),
    "textmatch": set(),
    "limits": {"errors"},
    "patterns": set(),
    "policy": {"errors"},
    "prices": {"errors"},
    "later": set(),
    "version": set(),
    "temporary": set(),
    "retention": {*GROUND},
    "config": {"errors", "limits", "patterns", "policy", "prices"},
    "scenario": {"errors", "events", "limits", "patterns", "textmatch", "retention"},
    "scenario/loading": {"errors", "config", "limits", "scenario"},
    "wire": {*GROUND, "scenario"},
    "gateway": {"wire"},
    "cassettes": {*GROUND, "wire"},
    "simulator": {*GROUND, "retention", "scenario", "wire"},
    "transcript": {*GROUND, "policy", "scenario", "wire"},
    "checks": {*GROUND, "policy", "retention", "scenario", "wire", "transcript"},
    "results": {"errors", "events", "scenario", "wire", "cassettes", "transcript", "checks"},
    "results/model": {"events"},
    "results/ranking": {"results/model"},
    "reporting": {"textmatch", "results"},
    "reporting/cassette": {"events", "wire", "reporting"},
    "reporting/exchanges": {"wire"},
    "review": {"config", "errors", "cassettes", "results", "reporting"},
    "review/ci": set(),
    "review/changed": set(),
    "clients": {*GROUND, "config", "policy", "scenario", "wire"},
    "adapters": {"errors", "events", "clients"},
    "play": {
        *GROUND, "config", "policy", "retention", "scenario", "wire", "gateway", "cassettes", "simulator", "transcript",
        "clients", "checks", "results",
    },
    "play/network": {"errors", "later", "play/network"},
    "play/placeholders": {"cassettes", "results"},
    "play/cast": {"scenario", "clients"},
    "play/apps": {"clients", "errors", "wire"},
    "play/belonging": {"transcript", "wire"},
    "play/surroundings": {"wire", "gateway", "play/apps", "play/cast"},
    "play/disturbing": {"clock", "errors", "events", "scenario", "wire", "clients", "play/reader"},
    "play/reader": set(),
    "play/waiting": {"clock"},
    "play/live": {*GROUND, "scenario", "wire", "clients", "transcript", "play/calls", "play/disturbing", "play/reader"},
    "play/calls": {"clock", "errors", "clients", "transcript"},
    "play/sessions": {
        *GROUND, "scenario", "wire", "clients", "transcript", "play/live", "play/surroundings", "play/waiting",
    },
    "play/runner": {
        *GROUND, "scenario", "clients", "transcript", "play/apps", "play/belonging", "play/calls", "play/live",
        "play/sessions", "play/surroundings",
    },
    "importing": {
        *GROUND, "config", "scenario", "wire", "cassettes", "simulator", "clients", "checks", "play",
    },
    "importing/conversation": {"wire"},
    "importing/reading": {"errors", "wire", "cassettes", "importing/conversation", "importing/reading"},
    "probe": {
        "clock", "config", "errors", "policy", "scenario", "wire", "gateway", "simulator", "transcript", "clients",
        "checks", "results", "reporting", "play", "temporary",
    },
    "mutate": {"config", "errors", "events", "scenario", "wire", "clients", "play", "temporary"},
    "plugin": {
        "config", "errors", "later", "limits", "textmatch", "retention", "scenario", "gateway", "cassettes", "clients",
        "reporting", "play", "temporary",
    },
    "plugin/options": {"errors"},
    "plugin/sweeps": {"errors", "scenario"},
    "plugin/matrices": {"errors"},
    "plugin/state": {
        "config", "textmatch", "wire", "clients", "play", "gateway", "plugin/matrices", "plugin/sweeps",
    },
    "plugin/results": {"errors", "scenario", "results"},
    "plugin/snapshots": {"config", "errors", "scenario", "results", "reporting", "play", "review"},
    "plugin/outputs": {"errors", "results", "reporting", "plugin/results", "temporary"},
    "plugin/summary": {"plugin/state", "plugin/sweeps"},
    "cli": {
        "version", "config", "errors", "limits", "textmatch", "scenario", "gateway", "cassettes", "clients", "results",
        "reporting", "importing", "review", "probe", "play", "temporary", "retention", "wire",
    },
    "__init__": {
        "clock", "errors", "events", "version", "gateway", "transcript", "results", "clients", "play", "probe",
    },
}  # fmt: skip
"""By room, and by module where one must know less than its room: what it may import; a module with its own row also
what of its room. From the ground up: a room stands above all that its row names. Nothing inside imports the public
face."""

ONLY_IN: dict[str, set[str]] = {
    "anyio": {
        "clock",
        "wire/tap",
        "gateway/gate",
        "gateway/application",
        "play/calls",
        "play/disturbing",
        "play/live",
        "play/reader",
        "play/runner",
        "play/perform",
        "play/sessions",
        "play/standalone",
        "clients/messages/client",
        "clients/sse",
        "clients/listening",
        "clients/process",
        "clients/command",
    },
    "agents": {"adapters/openai_agents"},
    "langchain_core": {"adapters/langgraph"},
    "openai": {"adapters/openai_agents"},
    "pydantic_ai": {"adapters/pydantic_ai"},
    "claude_agent_sdk": {
        "clients/claude/sdk",
        "clients/claude/options",
        "clients/claude/sessions",
    },
    "click": {"cli"},
    "filelock": {"cassettes/store", "temporary", "wire/pacing"},
    "httpx": {
        "clients",  # that its command line is not imported with it
        "clients/messages/client",
        "clients/messages/sending",
        "clients/messages/turns",
        "clients/sse",
        "clients/command/hosting",
        "mutate/mutant",
        "mutate/catalogue/conduct",
    },
    "regex": {"patterns"},
    "msgspec": {
        "structs",
        "plugin/results",
        "plugin/snapshots",
        "reporting/page",
        "results",
        "play/placeholders",
        "play/sessions",
        "scenario",
        "wire",
        "clients",
        "adapters/openai_agents",
        "simulator",
        "cassettes",
        "checks",
        "importing",
        "mutate/mutant",
        "mutate/shapes",
        "retention/baseline",
        "retention/journal",
    },
    "jsonschema": {"checks/schemas"},
    "referencing": {"checks/schemas"},
    "psutil": {"clients/family"},
    "pytest": {"plugin"},
    "rich": {"cli/running", "cli/showing"},
    "ruamel": {"scenario/nodes"},
    "starlette": {"gateway/application"},
    "syrupy": {"plugin/items", "plugin/snapshots"},
    "xdist": {"plugin/spreading"},
    "uvicorn": {"gateway/server"},
    "vcr": {"wire/stacks"},
    "aiohttp": {"wire/stacks/aio"},
    "multidict": {"wire/stacks/aio"},
    "yaml": {"scenario/nodes", "cassettes/reading", "cassettes/store"},
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    name = path.relative_to(PACKAGE).with_suffix("").as_posix()
    return name.removesuffix("/__init__")


def within(name: str) -> list[str]:
    """A module's name and the rooms around it, the nearest first."""
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]


def row_of(name: str) -> str:
    return next(one for one in within(name) if one in MAY_IMPORT)


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names; of `from package import module` the module's too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


NAMES = {name_of(path) for path in modules()}


def ours(text: str) -> set[str]:
    """The modules of ours that a source text imports; of a module in a package not the package."""
    found = set()
    for name in imports(ast.parse(text)):
        if name.split(".")[0] == "convtest":
            found.add(name.removeprefix("convtest").strip(".").replace(".", "/") or "__init__")
    known = found & NAMES
    return {one for one in known if not any(other.startswith(f"{one}/") for other in known)}


def forbidden(name: str, text: str) -> set[str]:
    """What a module of that name may not import and does."""
    row = row_of(name)
    allowed = ANYWHERE | MAY_IMPORT[row] | ({row} if "/" not in row else set())
    return {one for one in ours(text) if one != name and not allowed & set(within(one))}


def test_every_room_is_in_the_table() -> None:
    assert {within(name)[-1] for name in NAMES} == {row for row in MAY_IMPORT if "/" not in row}
    assert set(MAY_IMPORT) <= {one for name in NAMES for one in within(name)}


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    assert not forbidden(name_of(path), path.read_text())


def test_no_row_permits_what_nobody_imports() -> None:
    used: dict[str, set[str]] = {row: set() for row in MAY_IMPORT}
    for path in modules():
        used[row_of(name_of(path))] |= {above for one in ours(path.read_text()) for above in within(one)}

    idle = {row: allowed - GROUND - used[row] for row, allowed in MAY_IMPORT.items()}
    assert not {row: names for row, names in idle.items() if names}


def test_the_table_has_floors() -> None:
    """Rooms stand above what they import: read from the ground up, no row names one that comes after it."""
    below: set[str] = set()
    for row, allowed in MAY_IMPORT.items():
        if "/" not in row:
            assert {within(one)[-1] for one in allowed} <= below, row
            below.add(row)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_third_party_package_stands_in_its_place(path: Path) -> None:
    for name in imports(ast.parse(path.read_text())):
        places = ONLY_IN.get(name.split(".")[0])
        if places is not None:
            assert places & set(within(name_of(path))), f"{name} in {name_of(path)}"


def test_no_place_in_the_table_is_out_of_date() -> None:
    used = {
        (name.split(".")[0], place)
        for path in modules()
        for name in imports(ast.parse(path.read_text()))
        for place in within(name_of(path))
    }

    assert {(package, place) for package, places in ONLY_IN.items() for place in places} <= used


def test_only_known_packages_are_imported() -> None:
    import sys

    found = {name.split(".")[0] for path in modules() for name in imports(ast.parse(path.read_text()))}

    assert found - set(sys.stdlib_module_names) - {"convtest"} == set(ONLY_IN)


def test_there_is_no_import_cycle() -> None:
    edges = {name_of(path): ours(path.read_text()) - {name_of(path)} for path in modules()}
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
    from convtest.cli import COMMANDS

    for path in (PACKAGE / "cli").glob("*.py"):
        found = {one.removeprefix("cli/") for one in ours(path.read_text())} - {path.stem}
        assert not found & set(COMMANDS), path


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("checks/planted", "from convtest.plugin.state import STATE", {"plugin/state"}),
        ("checks/planted", "import convtest.play.runner", {"play/runner"}),
        ("checks/planted", "from convtest.play import runner", {"play/runner"}),
        ("checks/planted", "from convtest import Opening", {"__init__"}),
        ("play/runner", "from convtest.play.prepare import Mode", {"play/prepare"}),
        ("play/live", "from convtest.cassettes import store", {"cassettes/store"}),
        ("play/planted", "from convtest.play.prepare import Mode", set()),
        ("play/planted", "from convtest.reporting.failure import side", {"reporting/failure"}),
    ],
)
def test_a_planted_import_would_be_found(name: str, text: str, what: set[str]) -> None:
    assert forbidden(name, text) == what


MAX_LINES, MAX_FUNCTION, MAX_PARAMETERS = 300, 40, 7
"""What is longer has its reason in ARCHITECTURE.md, and stands in the table below."""
LONGER: set[str] = set()


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_modules_are_small_and_say_what_they_are(path: Path) -> None:
    text = path.read_text()

    assert ast.get_docstring(ast.parse(text))
    assert text.count("\n") <= MAX_LINES or name_of(path) in LONGER


def is_a_command(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(ast.unparse(one).startswith("click.command") for one in node.decorator_list)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_functions_are_small_and_take_little(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            count = sum(one is not None for one in every)
            assert (node.end_lineno or 0) - node.lineno < MAX_FUNCTION, f"{node.name} in {name_of(path)}"
            assert count <= MAX_PARAMETERS or is_a_command(node), f"{node.name} in {name_of(path)} takes {count}"


def test_only_four_modules_mention_what_was_prepared() -> None:
    """An item's arrangement is decided in one place and handed on as what each part needs."""
    mentions = {name_of(path) for path in modules() if "Prepared" in path.read_text()}

    assert mentions <= {"play/prepare", "play/answering", "play/perform", "play/inventory"}
