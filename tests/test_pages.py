"""The pages: those that are made of the code are fresh, each is on the site, and what errors and help name is there."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from convtest.cli import COMMANDS, MORE
from convtest.cli.docs import anchor_of, headings_of
from convtest.errors import ConfigError, ConvtestError
from tests.project import Project

REPOSITORY = Path(__file__).parent.parent
DOCS = REPOSITORY / "docs"
PACKAGE = REPOSITORY / "convtest"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its dataclasses look for it there
    spec.loader.exec_module(module)
    return module


def is_there(address: str) -> bool:
    name, _, anchor = address.partition("#")
    path = DOCS / f"{name}.md"
    return path.is_file() and (not anchor or anchor in {anchor_of(one) for _, _, one in headings_of(path.read_text())})


@pytest.mark.parametrize("name", ["language", "options", "api", "errors"])
def test_a_page_that_is_made_is_fresh(name: str) -> None:
    """`scripts/pages` makes them anew."""
    made = script("pages").MAKERS[name]()

    assert (DOCS / f"{name}.md").read_text(encoding="utf-8") == made


def test_every_page_is_on_the_site_once() -> None:
    text = re.sub(r"!!python/\S+", "", (REPOSITORY / "mkdocs.yml").read_text())
    listed = re.findall(r"[\w-]+\.md", str(yaml.safe_load(text)["nav"]))

    assert sorted(listed) == sorted(path.name for path in DOCS.glob("*.md"))


# what errors say


def told() -> list[tuple[str, str]]:
    return [(one.text, one.where) for one in script("error_texts").told_in(PACKAGE)]


def test_the_page_of_errors_is_whole() -> None:
    texts = script("error_texts")
    silent = {where.partition(":")[0] for text, where in told() if texts.says_nothing(text)}

    assert len(told()) > 250
    assert silent == set(texts.PASSED_ON)


@pytest.mark.parametrize(
    ("source", "text", "help"),
    [
        ('raise ConfigError(f"no {a}", where="x", help="say b")', "no …", "say b"),
        ('what = "one" if x else f"two {y}"\n    raise ConfigError(what, where="x")', "two …", ""),
        ('problems.append(Problem(f"{a!r} is bad", place, "mend it"))', "… is bad", "mend it"),
        ('refuse("passed on")', "passed on", ""),
    ],
)
def test_an_error_that_is_added_is_found(tmp_path: Path, source: str, text: str, help: str) -> None:
    package = tmp_path / "convtest"
    package.mkdir()
    (package / "errors.py").write_text((PACKAGE / "errors.py").read_text())
    wrapper = 'def refuse(what):\n    raise ConfigError(what, where="x")\n'
    (package / "planted.py").write_text(f"{wrapper}def f(a, problems, place, x, y):\n    {source}\n")

    found = script("error_texts").told_in(package)

    assert (text, help) in [(one.text, one.help) for one in found if one.where.startswith("planted")]


def test_errors_that_are_met_stand_on_the_page(project: Project) -> None:
    page = (DOCS / "errors.md").read_text()
    project.write("scenarios/a.yaml", "scenario: a\nsteps:\n  - usr: Hello\n")
    project.write("scenarios/b.yaml", "scenario: b\nclient: nobody\nsteps:\n  - user: Hello\n")
    project.write("cassettes/c.yaml", "http_interactions: []\n")

    said = [
        project.convtest("check", "scenarios/a.yaml").err,
        project.convtest("check", "scenarios/b.yaml").err,
        project.convtest("show", "cassettes/c.yaml").err,
        project.convtest("review", "--accept", "x").err,
    ]

    for text, words in zip(
        said, ("unknown key", "unknown client", "unreadable cassette", "nothing waits under"), strict=True
    ):
        assert words in text
        assert f"`{words}" in page


def subclasses(kind: type[ConvtestError]) -> set[type[ConvtestError]]:
    return {kind, *(one for below in kind.__subclasses__() for one in subclasses(below))}


def test_every_error_and_every_command_names_a_page_that_is_there() -> None:
    named = {one.page for one in subclasses(ConvtestError) if one.__module__.startswith("convtest.")}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "told":
                named |= {str(one.value) for one in node.args[1:] if isinstance(one, ast.Constant)}

    assert len(named) > 15
    assert [page for page in sorted({*named, *MORE.values()}) if not is_there(page)] == []
    assert set(MORE) == set(COMMANDS)


def test_no_error_of_a_plugin_is_told_without_its_page() -> None:
    bare = [
        f"{path.name}:{node.lineno}"
        for path in (PACKAGE / "plugin").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"UsageError", "CollectError"}
        and "told" not in ast.unparse(node)
    ]

    assert bare == []


def test_an_error_of_an_item_names_its_page(project: Project) -> None:
    project.write("pyproject.toml", project.read("pyproject.toml").replace("simulator", "https://model.invalid"))
    project.write("scenarios/a.yaml", "scenario: a\nsteps:\n  - user: Hello\n    expect: {contains: x}\n")
    project.write("scenarios/b.yaml", "scenario: b\nsteps:\n  - usr: Hello\n")

    unrecorded = project.pytest("scenarios/a.yaml")
    wrong = project.pytest("scenarios/b.yaml")
    unknown = project.pytest("--convtest-client=nobody")

    assert "    more: convtest docs cassettes#what-plain-pytest-plays" in unrecorded.out
    assert "    more: convtest docs scenarios" in wrong.out
    assert "    more: convtest docs clients#the-configuration" in unknown.text


def test_the_text_of_an_exception_is_without_its_page() -> None:
    error = ConfigError("it is wrong", where="[tool.convtest]")

    assert str(error) == "it is wrong — pyproject.toml, [tool.convtest]"
    assert error.told == f"{error}\n    more: convtest docs clients#the-configuration"
    assert ConfigError("it is wrong", where="--convtest-speed").page == "options"


# convtest docs


def test_docs_prints_pages_and_sections(project: Project) -> None:
    listed, page, section = (project.convtest("docs", *one) for one in ((), ("sweeps",), ("sweeps.md#the-keys",)))

    assert {line.split()[0] for line in listed.out.splitlines()} == {path.stem for path in DOCS.glob("*.md")}
    assert page.out.rstrip("\n") == (DOCS / "sweeps.md").read_text().rstrip("\n")
    assert section.out.startswith("## The keys\n")
    assert "## How points are counted" not in section.out
    assert "```yaml file=scenarios/then.yaml" in section.out


def test_a_section_holds_those_below_it_and_no_comment_of_code(project: Project) -> None:
    gateway = project.convtest("docs", "clients#an-application-behind-http").out

    assert "### An application that a fixture starts" in gateway
    assert "## The gateway" not in gateway
    assert "# The keys" not in project.convtest("docs").out


@pytest.mark.parametrize(("page", "hint"), [("cassetes", "'cassettes'"), ("sweeps#the-key", "'the-keys'")])
def test_docs_knows_what_was_meant(project: Project, page: str, hint: str) -> None:
    done = project.convtest("docs", page)

    assert done.code == 2
    assert f"did you mean {hint}?" in done.err


def test_docs_says_where_a_page_stands(project: Project) -> None:
    assert Path(project.convtest("docs", "--path", "sweeps").out.strip()) == DOCS / "sweeps.md"


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_names_the_page_that_tells_more(name: str) -> None:
    words = [sys.executable, "-c", "from convtest.cli import main; main()", *([name] if name else []), "--help"]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout

    assert out.startswith(f"Usage: convtest {name}".rstrip())
    assert out.rstrip().endswith(f"More: convtest docs {MORE.get(name, '')}".rstrip())
