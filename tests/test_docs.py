"""Every code block of the README and the docs is run, in a project of its own per page, in the page's order."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.project import Project

REPOSITORY = Path(__file__).parent.parent
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
PROSE = [*PAGES, *(REPOSITORY / name for name in ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"))]


@dataclass(frozen=True)
class Block:
    language: str
    file: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in re.finditer(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(found[1], found[2] or "", found[3], text.count("\n", 0, found.start()) + 1)


def commands(block: Block) -> Iterator[tuple[str, int, str]]:
    """(command, exit code, expected output) of a console block."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, expected = part.partition("\n")
        command, _, exit_code = line.partition("   # exit ")
        yield command, int(exit_code or 0), expected


def run(project: Project, command: str) -> tuple[int, str]:
    words = command.split()
    if words[0] == "rm":
        (project.root / words[1]).unlink()
        return 0, ""
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
    assert seen


def test_the_two_commands_at_the_top_of_the_readme_are_what_ci_runs() -> None:
    first = next(blocks(REPOSITORY / "README.md"))
    promised = [line.split("#")[0].strip() for line in first.text.splitlines()]

    ran = (REPOSITORY / ".ci" / "run").read_text()

    assert promised == ["scripts/play", "scripts/test"]
    assert all(re.search(rf"^{command}\b", ran, re.MULTILINE) for command in promised)


def test_the_scripts_are_sound_shell() -> None:
    for script in [*(REPOSITORY / "scripts").iterdir(), REPOSITORY / ".ci" / "run"]:
        subprocess.run(["bash", "-n", str(script)], check=True)
        assert script.stat().st_mode & 0o111


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_the_version_is_the_same_everywhere() -> None:
    from convtest import __version__

    assert f'version = "{__version__}"' in (REPOSITORY / "pyproject.toml").read_text()
