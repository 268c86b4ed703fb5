"""Every code block of the README and the docs is run, in a project of its own per page, in the page's order."""

import html
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from convtest.cli.docs import anchor_of, headings_of
from convtest.clients.registry import KINDS as CLIENT_KINDS
from convtest.config import _KEYS
from convtest.scenario.disturbances import SWEEPABLE, Doing
from convtest.scenario.expectations import ExpectShape
from convtest.scenario.grammar import NOT_YET, ScenarioShape, SessionShape, SimulateShape, StepShape
from tests.project import Project

REPOSITORY = Path(__file__).parent.parent
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
SEEN = {"claude-agent-sdk-points.md", "retention-statistics.md", "peers.md", "performance.md"}
"""What was seen of the SDK and of other tools, and what was counted of the verdict: nothing to run."""
BY_A_SCRIPT = {"drawn/performance.svg", "drawn/failing.svg", "drawn/report.png", "drawn/sweep.svg"}
"""Pictures that scripts/pictures makes of what the pages' commands print, and a benchmark."""
PROSE = [*PAGES, *(REPOSITORY / name for name in ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"))]


@dataclass(frozen=True)
class Block:
    language: str
    file: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in re.finditer(r"^(`{3,})(\w+)(?: file=(\S+))?\n(.*?)^\1$", text, re.MULTILINE | re.DOTALL):
        yield Block(found[2], found[3] or "", found[4], text.count("\n", 0, found.start()) + 1)


def commands(block: Block) -> Iterator[tuple[str, int, str]]:
    """(command, exit code, expected output) of a console block."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, expected = part.partition("\n")
        command, _, exit_code = line.partition("   # exit ")
        yield command, int(exit_code or 0), expected


def run(project: Project, command: str) -> tuple[int, str]:
    words = shlex.split(command)
    if words[0] == "rm":
        (project.root / words[1]).unlink()
        return 0, ""
    if words[0] == "cat":
        return 0, project.read(words[1])
    if words[0] == "git":
        who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.invalid", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *words[1:]], cwd=project.root, check=True, capture_output=True)
        return 0, ""
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        project.environment[name] = value
    done = (
        project.pytest("-p", "no:cacheprovider", *words[1:]) if words[0] == "pytest" else project.convtest(*words[1:])
    )
    return done.code, done.err + done.out


def pattern(expected: str) -> str:
    """`…` at the end of a line, and alone on one, stands for anything."""
    lines = [re.escape(line.rstrip()).replace("…", ".*") for line in expected.strip("\n").splitlines()]
    return "\n".join(r"(?:.*\n?)*?" if line == ".*" else rf"{line}[^\S\n]*" for line in lines).replace(
        "(?:.*\\n?)*?\n", "(?:.*\\n)*?"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_code_block_runs(project: Project, page: Path) -> None:
    (project.root / "pyproject.toml").unlink()
    project.columns = 80
    seen = 0
    for block in blocks(page):
        seen += 1
        where = f"{page.name}:{block.line}"
        if block.file:
            project.write(block.file, block.text)
        elif block.language == "console":
            for command, code, expected in commands(block):
                found = run(project, command)
                assert found[0] == code, f"{where}: {command}\n{found[1]}"
                assert re.fullmatch(pattern(expected), found[1].strip("\n")), f"{where}: {command}\n{found[1]}"
        else:
            assert (page.name, block.language) == ("README.md", "sh"), f"{where} is run by nothing"
    assert seen or page.name in SEEN, "a page without anything to run"
    for picture in re.findall(r"^!\[[^\]]*\]\((drawn/[^)]+)\)", page.read_text(), re.MULTILINE):
        assert (page.parent / picture).is_file(), f"{page.name}: {picture}"
        if picture not in BY_A_SCRIPT:
            # What the page's own commands have drawn.
            assert project.read(picture) == (page.parent / picture).read_text(), (
                f"{page.name}: {picture} is out of date"
            )


def test_the_two_commands_at_the_top_of_the_readme_are_what_ci_runs() -> None:
    first = next(blocks(REPOSITORY / "README.md"))
    promised = [line.split("#")[0].strip() for line in first.text.splitlines()]

    ran = (REPOSITORY / ".ci" / "run").read_text()

    assert promised == ["scripts/play", "scripts/test"]
    assert all(re.search(rf"^{command}\b", ran, re.MULTILINE) for command in promised)


def test_the_scripts_are_sound_shell() -> None:
    shell = [script for script in (REPOSITORY / "scripts").iterdir() if not script.suffix]
    for script in [*shell, REPOSITORY / ".ci" / "run"]:
        subprocess.run(["bash", "-n", str(script)], check=True)
        assert script.stat().st_mode & 0o111


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        name, _, anchor = target.partition("#")
        there = page.parent / name if name else page
        assert target.startswith("https://") or there.exists(), target
        if anchor:
            assert anchor in {anchor_of(title) for _, _, title in headings_of(there.read_text())}, target


def test_pictures_of_a_terminal_show_what_the_pages_say() -> None:
    """`scripts/pictures` draws them anew."""
    for name, page, command in (
        ("failing", "tutorial", "pytest -q --convtest-strict --convtest-report=report.html"),
        ("sweep", "sweeps", "convtest sweep"),
    ):
        drawn = (REPOSITORY / f"docs/drawn/{name}.svg").read_text()
        texts = re.findall(r"<text[^>]*>([^<]*)</text>", drawn)
        shown = re.sub(r"\s+", "", html.unescape("".join(texts)))
        said = [one for block in blocks(REPOSITORY / f"docs/{page}.md") for one in commands(block)]
        (expected, *_) = [text for line, code, text in said if line == command and (code or name == "sweep")]
        kept = [line for line in expected.splitlines() if line.startswith("  ")]
        assert len(kept) > 5
        assert [line for line in kept if re.sub(r"\s+", "", line) not in shown] == []


def docs(name: str = "*") -> str:
    return "\n".join(path.read_text() for path in sorted((REPOSITORY / "docs").glob(f"{name}.md")))


def named(shape: type[msgspec.Struct]) -> list[str]:
    """The keys of a shape as they are written, but for those that are not there yet."""
    return [name for name in shape.__struct_encode_fields__ if name not in NOT_YET.get(shape, ())]


@pytest.mark.parametrize("shape", [ScenarioShape, StepShape, SimulateShape, SessionShape, ExpectShape])
def test_every_key_of_the_language_is_in_the_docs(shape: type[msgspec.Struct]) -> None:
    text = docs("scenarios") + docs("checks")

    # As code, or in an example: a word of the prose says nothing of the key.
    told = {key: re.search(rf"`{key}\b|(?:^|[\s{{,-]){key}:(?:\s|$)", text, re.M) for key in named(shape)}
    assert [key for key, found in told.items() if not found] == []


def test_every_setting_and_every_option_is_in_the_docs() -> None:
    text = docs()
    hidden = {"--convtest-progress"}
    helps = subprocess.run(
        [sys.executable, "-m", "pytest", "--help"], capture_output=True, text=True, check=True
    ).stdout
    options = set(re.findall(r"--convtest-[a-z-]+", helps)) - hidden

    assert [key for key in _KEYS if f"`{key}" not in text] == []
    assert len(options) >= 8
    assert [option for option in sorted(options) if option not in text] == []


def test_every_kind_of_client_and_every_disturbance_is_in_the_docs() -> None:
    assert [kind for kind in CLIENT_KINDS if f"`{kind}`" not in docs("clients")] == []
    assert [word for word in get_args(Doing) if not re.search(rf"`(do: )?{word}\b", docs("scenarios"))] == []
    assert [word for word in SWEEPABLE if f"`{word}`" not in docs("sweeps")] == []


def test_the_version_is_the_same_everywhere() -> None:
    from convtest.version import VERSION

    assert f'version = "{VERSION}"' in (REPOSITORY / "pyproject.toml").read_text()
