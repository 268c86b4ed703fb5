"""The pages of docs/ that are made of the code: `scripts/pages`."""

import ast
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import click

import convtest
from convtest.cli import COMMANDS, group
from convtest.scenario.schema import schema

sys.path.insert(0, str(Path(__file__).parent))
from error_texts import Told, says_nothing, told_in

ROOT = Path(__file__).parent.parent
MADE = "<!-- made by scripts/pages -->\n"

# --- the language ---------------------------------------------------------------------------------------------------

SHAPES = {
    "ScenarioShape": ("A scenario", "scenarios.md"),
    "SessionShape": ("A session", "scenarios.md#steps"),
    "FactShape": ("A fact", "scenarios.md#steps"),
    "ToolShape": ("A tool", "scenarios.md#interrupts"),
    "StepShape": ("A step", "scenarios.md#steps"),
    "SimulateShape": ("`simulate`", "scenarios.md#what-the-simulator-says"),
    "DisturbShape": ("A disturbance", "scenarios.md#disturbances"),
    "ExpectShape": ("`expect`", "checks.md#expectations"),
    "SweepShape": ("`sweep`", "sweeps.md#the-keys"),
    "RetentionShape": ("`retention`", "retention.md"),
}
"""Those that have a page of their own, in this order; the others follow by their names."""


def language() -> str:
    made = schema()
    shapes = {"ScenarioShape": made, **made["$defs"]}
    order = [*SHAPES, *sorted(set(shapes) - set(SHAPES))]
    parts = [
        "# The language, key by key",
        "",
        MADE,
        "Made of the JSON Schema that `convtest schema` prints and editors complete with: every key of a scenario file, and what it "
        "takes. What the keys mean stands in [Scenarios](scenarios.md), what `expect` holds in [What is checked](checks.md).",
        "",
        "Where text is taken, a number or a truth value is taken as it is written. A key that is not here is an error with its place.",
        "",
        "## In an editor",
        "",
        "Editors with a YAML language server (VS Code with the extension YAML, Neovim, JetBrains) complete keys and mark what is wrong, where "
        "the first line of a scenario names the schema. `convtest init` and `convtest import` write that line, and the schema beside it:",
        "",
        "```console",
        "$ convtest init",
        "…",
        "$ cat scenarios/first.yaml",
        "# yaml-language-server: $schema=scenario.schema.json",
        "…",
        "```",
    ]  # fmt: skip
    for name in (one for one in order if one in shapes):
        parts += ["", f"## {_title(name)}", "", *_shape(name, shapes[name])]
    return "\n".join(parts) + "\n"


def _title(name: str) -> str:
    return SHAPES.get(name, (f"`{_word(name)}`", ""))[0]


def _word(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name.removesuffix("Shape")).lower()


def _anchor(name: str) -> str:
    from convtest.cli.docs import anchor_of

    return anchor_of(_title(name))


def _shape(name: str, shape: dict[str, Any]) -> Iterator[str]:
    if name in SHAPES:
        yield f"[What they mean]({SHAPES[name][1]})."
        yield ""
    if "properties" not in shape:
        yield f"Takes {_takes(shape)}."
        return
    if name == "StepShape":
        yield "Just one of: " + ", ".join(f"`{one['required'][0]}`" for one in shape["oneOf"]) + "."
        yield ""
    needed = set(shape.get("required", ()))
    yield "| key | is | takes |"
    yield "|---|---|---|"
    for key, value in sorted(shape["properties"].items(), key=lambda pair: pair[0] not in needed):
        default = value.get("default")
        usual = f"; without it `{_yaml(default)}`" if default not in (None, [], {}, "") else ""
        yield f"| `{key}`{' (needed)' if key in needed else ''} | {value['description']} | {_takes(value)}{usual} |"


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _takes(value: dict[str, Any]) -> str:
    """In words, as a cell of a table."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{_title(name).strip('`').lower()}](#{_anchor(name)})"
    if "enum" in value:
        return "one of " + ", ".join(f"`{one}`" for one in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if "anyOf" in value:
        return ", or ".join(dict.fromkeys(_takes(one) for one in _plain(value["anyOf"])))
    kind = value.get("type")
    if isinstance(kind, list):
        return "text"
    if kind == "array":
        return f"a list of {_takes(value['items'])}" if value.get("items") else "a list"
    if kind == "object":
        inside = value.get("additionalProperties")
        return f"a mapping to {_takes(inside)}" if isinstance(inside, dict) and inside else "a mapping"
    words = {
        "string": "text",
        "number": "a number",
        "integer": "a whole number",
        "boolean": "`true` or `false`",
        "null": "nothing",
    }
    return words.get(str(kind), "anything")


def _plain(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Numbers and truth values beside text are text."""
    has_text = any(one.get("type") == "string" or "enum" in one for one in choices)
    return [one for one in choices if not (has_text and one.get("type") in (["number", "boolean"], "number"))]


# --- options --------------------------------------------------------------------------------------------------------


def options() -> str:
    parts = [
        "# Commands and options",
        "",
        MADE,
        "What `pytest` and `convtest` say of themselves. Settings of `pyproject.toml` stand in "
        "[Session clients](clients.md#the-configuration). Every command exits 0 if all is well, 1 on failures, 2 on errors.",
        "",
        "## pytest",
        "",
        "| option | does |",
        "|---|---|",
        *(f"| `{name}` | {does} |" for name, does in _pytest_options()),
        "",
        "An example of each stands on the page that tells of it: [recording](cassettes.md#what-plain-pytest-plays), [sweeps](sweeps.md#names-and-marks), "
        "[results](results.md), [the report](report.md), [many workers](workers.md).",
    ]  # fmt: skip
    for name in COMMANDS:
        parts += ["", f"## convtest {name}", "", "```console", f"$ convtest {name} --help", _help(name), "```"]
    return "\n".join(parts) + "\n"


def _help(name: str) -> str:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    with click.Context(group, info_name="convtest") as above:
        context = click.Context(
            command, parent=above, info_name=name, terminal_width=78, help_option_names=["-h", "--help"]
        )
        return command.get_help(context)


def _pytest_options() -> Iterator[tuple[str, str]]:
    from convtest.plugin.options import _OPTIONS

    for name, facts in _OPTIONS:
        if facts.get("help") and "SUPPRESS" not in str(facts["help"]):
            value = f"={facts['metavar']}" if facts.get("metavar") else ""
            yield f"{name}{value}", str(facts["help"]).replace("|", "\\|")


# --- the API --------------------------------------------------------------------------------------------------------

GROUPS = {
    "the port": (
        "The port",
        "What convtest asks of the adapter for what is under test, and what it gives it: [Your own client](own-client.md).",
    ),
    "events": ("Events", "What a client yields. A turn ends in just one `TurnEnd`."),
    "clients to build upon": ("Clients to build upon", "Subclasses change what they do; [profiles](clients.md) name them as `python`."),
    "the transcript": (
        "For checks of your own",
        "`check: module:function` ([What is checked](checks.md)) is handed a `Transcript`: its `records` are `StepRecord`s, of which a "
        "`TurnRecord` has what was said and sent in a turn, an `ActRecord` what became of an act.",
    ),
    "the conformance suite": ("The conformance suite", "It says how a client does in a dozen scenarios: [The conformance suite](clients.md#the-conformance-suite)."),
    "what the fixtures": (
        "Fixtures",
        "| fixture | gives |\n|---|---|\n"
        "| `convtest_cassette` | a `Recording`: what this test sends is recorded and replayed ([Cassettes](cassettes.md#ordinary-tests)) |\n"
        "| `convtest_app` | a function that starts an application under test ([An application that a fixture starts](clients.md#an-application-that-a-fixture-starts)) |\n"
        "| `convtest_gateway` | a `GatewayAddress`: where an application finds its model ([The gateway](clients.md#the-gateway)) |",
    ),
    "results": ("Results", "As `--convtest-results` writes them: [Results](results.md)."),
    "exceptions": ("Exceptions", "What is wrong with the set-up, by its first words: [Errors](errors.md)."),
}  # fmt: skip
"""By the beginning of the comment above the names in `convtest/__init__.py`."""


def api() -> str:
    parts = [
        "# What may be imported",
        "",
        MADE,
        "All of it from `convtest` itself; what stands elsewhere may move. Names are loaded when they are used: nothing is imported when\n"
        "pytest starts. `convtest.__version__` is the version (`__version__`).",
        "",
        "```python file=mine.py",
        "from convtest import Opening, SessionError, TextDelta, TurnEnd",
        "```",
    ]
    for comment, names in _grouped():
        title, about = next(one for start, one in GROUPS.items() if comment.startswith(start))
        parts += ["", f"## {title}", "", about]
        for name in names:
            parts += ["", f"### `{name}`", "", *_described(name)]
    return "\n".join(parts) + "\n"


def _grouped() -> Iterator[tuple[str, list[str]]]:
    text = Path(convtest.__file__).read_text()
    table = text[text.index("_WHERE = {") : text.index("\n}")]
    comment, names = "", list[str]()
    for line in table.splitlines()[1:]:
        if found := re.match(r"\s+# (.*)", line):
            if names:
                yield comment, names
            comment, names = found[1], []
        elif found := re.match(r'\s+"(\w+)":', line):
            names.append(found[1])
    yield comment, names


def _described(name: str) -> Iterator[str]:
    value: Any = getattr(convtest, name)
    if not inspect.isclass(value) and not inspect.isfunction(value):
        yield "Any of those that follow."
        return
    tree = _tree(value)
    if inspect.isfunction(value):
        yield from (f"    {_signature(tree)}".replace("\\|", "|"), "", _prose(inspect.getdoc(value) or ""))
        return
    yield _prose(inspect.getdoc(value) or "")
    fields = list(_fields(tree)) if is_dataclass(value) or hasattr(value, "__struct_fields__") else []
    if fields and not any(doc for _, doc in fields):
        yield from ("", "Fields: " + ", ".join(one for one, _ in fields) + ".")
    elif fields:
        yield from ("", "| field | is |", "|---|---|", *(f"| {one} | {doc} |" for one, doc in fields))
    members = [
        one
        for one in tree.body
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and not one.name.startswith("_")
    ]
    told = [(one, ast.get_docstring(one) or "") for one in members]
    if told:
        yield from ("", "| member | does |", "|---|---|")
    for member, doc in told:
        is_property = any(isinstance(one, ast.Name) and one.id == "property" for one in member.decorator_list)
        shown = member.name if is_property else _signature(member)
        yield f"| `{shown}` | {_cell(doc) or '–'} |"


def _tree(value: Any) -> Any:
    module = importlib.import_module(value.__module__)
    found = ast.parse(inspect.getsource(module)).body
    return next(one for one in found if getattr(one, "name", "") == value.__name__)


def _fields(tree: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Each annotated name with the text below it."""
    for one, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and not one.target.id.startswith("_"):
            doc = ""
            if (
                isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
                and isinstance(after.value.value, str)
            ):
                doc = after.value.value
            kind = ast.unparse(one.annotation).strip("'").replace("|", "\\|")
            yield f"`{one.target.id}: {kind}`", _cell(doc)


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    word = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    arguments = ast.unparse(node.args)
    arguments = re.sub(r"^self(, )?", "", arguments)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns and ast.unparse(node.returns) != "None" else ""
    return f"{word}{node.name}({arguments}){returns}".replace("|", "\\|")


def _prose(doc: str) -> str:
    return "\n\n".join(
        textwrap.fill(part, 130, break_long_words=False, break_on_hyphens=False) for part in doc.split("\n\n")
    )


def _cell(doc: str) -> str:
    return " ".join(doc.split()).replace("|", "\\|")


# --- errors ---------------------------------------------------------------------------------------------------------


def errors() -> str:
    told = told_in(ROOT / "convtest")
    parts = [
        "# Errors, by their first words",
        "",
        MADE,
        "An error says that the set-up was wrong: pytest shows ERROR, the commands exit 2. What did not hold in a conversation is a "
        "*failure*, and stands in [What is checked](checks.md). Below, `…` stands for what differs from case to case. The text of an "
        "error comes with its place; its last line names a page, which `convtest docs PAGE` prints. With several ways out the table "
        "names them all.",
        "",
        "What is wrong with the file of a scenario is told with its line and column. `convtest check` finds it without playing anything.",
        "",
        "```console",
        "$ convtest check   # exit 2",
        "error: there is no [tool.convtest] here — …",
        "    start with: convtest init",
        "    more: convtest docs clients#the-configuration",
        "```",
    ]  # fmt: skip
    pages = dict.fromkeys(page for _, page in sorted((_page_title(one.page), one.page) for one in told))
    for page in pages:
        mine = sorted(_by_text(one for one in told if one.page == page).items(), key=lambda pair: _sortable(pair[0]))
        parts += [
            "",
            f"## {_page_title(page)}",
            "",
            f"More: [{page}]({_link(page)})",
            "",
            "| error | what to do |",
            "|---|---|",
        ]
        parts += [f"| {_code(text)} | {_code(help) if help else '–'} |" for text, help in mine]
    return "\n".join(parts) + "\n"


def _by_text(told: Iterable[Told]) -> dict[str, str]:
    found: dict[str, dict[str, None]] = {}
    for one in told:
        if not says_nothing(one.text):
            found.setdefault(one.text, {}).update(dict.fromkeys([one.help] if one.help else []))
    return {text: "; or ".join(helps) for text, helps in found.items()}


def _sortable(text: str) -> str:
    return re.sub(r"[^a-z ]", "", text.lower()).strip()


def _page_title(page: str) -> str:
    name, _, section = page.partition("#")
    first = (ROOT / "docs" / f"{name}.md").read_text().splitlines()[0].removeprefix("# ")
    return f"{first}: {section.replace('-', ' ')}" if section else first


def _link(page: str) -> str:
    name, _, section = page.partition("#")
    return f"{name}.md#{section}" if section else f"{name}.md"


def _code(text: str) -> str:
    """As code, so that nothing in it is read as Markdown."""
    clean = " ".join(text.split()).replace("|", "\\|")
    return f"`` {clean} ``" if "`" in clean else f"`{clean}`"


MAKERS = {"language": language, "options": options, "api": api, "errors": errors}


def main() -> None:
    for name, make in MAKERS.items():
        (ROOT / "docs" / f"{name}.md").write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
