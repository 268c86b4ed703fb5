"""The matrix that comes with convtest: who plays it, and that it holds for clients that are honest."""

import json
import re
import shutil
from pathlib import Path

import pytest

from convtest.retention.families import FAMILIES
from convtest.retention.matrix import BETWEEN
from convtest.retention.shipped import SHIPPED
from convtest.retention.wording import WORDINGS
from convtest.scenario.loader import load
from tests.matrices import Played, play
from tests.project import SECTION, Project


def test_the_shipped_matrix_has_everything_and_is_copied_once(project: Project) -> None:
    matrix = load(SHIPPED, shown="shipped.yaml", default_client="a", clients=("a",))[0].retention
    assert matrix is not None
    assert set(matrix.families) == set(FAMILIES)
    assert set(matrix.disturb) >= {"none", "interrupt", "529", *BETWEEN}

    assert "written  scenarios/retention.yaml" in project.convtest("init", "--retention").out
    assert project.read("scenarios/retention.yaml") == SHIPPED.read_text()
    assert "kept     scenarios/retention.yaml" in project.convtest("init", "--retention").out


def test_the_command_plays_the_packaged_file_and_says_how_far_it_is(project: Project) -> None:
    """The project's own settings of pytest hold, wherever the packaged file stands."""
    project.write("pytest.ini", "[pytest]\naddopts = --convtest-probes=probes.jsonl\n")

    ran = project.convtest("retention", "-k", "recall and (none or kill) or compact and unknown")

    assert ran.code == 0, ran.text
    assert f"playing the matrix of convtest: {SHIPPED}" in ran.err
    lines = [line for line in ran.out.splitlines() if "trunk-" in line]
    assert lines[0].startswith(f"passed   {SHIPPED}::retention[trunk-none]: 3 of 3 held  [3 of 9 probes, ")
    assert re.search(r", \d+ s left\]$", lines[0])
    assert lines[1].startswith(f"passed   {SHIPPED}::retention[trunk-kill]: 3 of 3 held  [6 of 9 probes, ")
    assert lines[2] == f"skipped  {SHIPPED}::retention[trunk-compact]: 3 not asked  [9 of 9 probes]"
    assert "USD" not in ran.text  # nothing was spent
    assert (project.root / "probes.jsonl").is_file()


def shipped(seed: int = 0, **more: str) -> str:
    """The matrix that comes with convtest, with another seed or other keys."""
    keys = "".join(f"\n  {key}: {value}" for key, value in {"seed": str(seed), **more}.items())
    return f"{SHIPPED.read_text().rstrip()}{keys}\n"


def false_alarms(played: Played) -> tuple[object, object]:
    """What is red; and that something was asked at all."""
    assert played.letters
    assert set(played.letters.values()) <= {"H"} or played.red
    return played.red, played.trunks


def few(text: str) -> str:
    """With fewer distances: the longest takes most of the time."""
    return text.replace("ask_after: [1, 5, 20]", "ask_after: [1, 4]")


@pytest.mark.parametrize("seed", range(3, 6))
def test_no_seed_is_a_false_alarm(tmp_path: Path, seed: int) -> None:
    played = play(tmp_path, few(shipped(seed)), kind=("messages", "chat_completions")[seed % 2], only="kill")

    assert false_alarms(played) == ({}, {})


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_no_seed_of_the_whole_matrix_is_a_false_alarm(tmp_path: Path, seed: int) -> None:
    """Each kind in turn, the first of each over all distances; the languages too, of which each has its own words."""
    kind, language = ("messages", "chat_completions")[seed % 2], list(WORDINGS)[seed % len(WORDINGS)]
    text, distances = shipped(seed, language=language), 3 if seed < 2 else 2

    played = play(tmp_path, text if seed < 2 else few(text), kind=kind)

    assert false_alarms(played) == ({}, {})
    skipped = {name: one.skip for name, one in played.outcomes.items() if one.skip}
    assert skipped == {"trunk-compact": "client 'assistant' has no compact_history"}
    assert len(played.cells) == distances * (131 - 13)


POLICIES: list[tuple[str, dict[str, str | list[str]], str]] = [
    ("DropsInterrupted", {"interrupted_prompt": "dropped", "partial_text": "dropped"}, "interrupt"),
    ("ClearNotPersisted", {"cleared": "back"}, "clear"),
]


@pytest.mark.parametrize(("client", "policy", "disturb"), POLICIES)
def test_a_client_of_another_policy_is_no_false_alarm(
    tmp_path: Path, client: str, policy: dict[str, str | list[str]], disturb: str
) -> None:
    """And the policy is what it is: a client that says the contrary of itself is red."""
    target = f"tests.retention_clients:{client}"

    assert false_alarms(play(tmp_path, few(shipped()), target, only=f"-{disturb}", policy=policy)) == ({}, {})
    contrary = {"interrupt": {"interrupted_prompt": "kept"}, "clear": {"cleared": "gone"}}[disturb]
    wrong = play(tmp_path, few(shipped()), target, only=f"-{disturb}", policy=contrary)
    assert wrong.red or wrong.trunks


@pytest.mark.slow
@pytest.mark.parametrize(("client", "policy", "disturb"), POLICIES)
def test_the_whole_matrix_is_no_false_alarm_for_a_client_of_another_policy(
    tmp_path: Path, client: str, policy: dict[str, str | list[str]], disturb: str
) -> None:
    played = play(tmp_path, shipped(), f"tests.retention_clients:{client}", policy=policy)

    assert false_alarms(played) == ({}, {})


MATRIX = """\
scenario: memory
retention: {families: [recall, overwrite], ask_after: [1, 3], disturb: [none, kill]}
"""


@pytest.mark.slow
def test_the_matrix_holds_for_the_real_claude_agent_sdk(project: Project) -> None:
    """Forty cells of it, spread over all: each takes processes."""
    project.write("pyproject.toml", SECTION.replace('"messages"', '"claude_agent_sdk"'))

    ran = project.convtest("retention", "--json")

    assert ran.code == 0, ran.text
    told = json.loads(ran.out)
    assert (told["probes"], told["held"], told["asked"]) == (40, 40, 40)
    assert (told["broken"], told["broken_conversations"], told["leaks"]) == ([], {}, 0)


TOLD = """
    scenario: memory
    options: {{system: You are {}.}}
    tools: {{look: {{description: Looks, input: {{}}, answers: [{{return: found}}]}}}}
    facts: {{city: {{tell: I live in {}., ask: Which city do I live in?, answer: {}}}}}
    steps: [{{user: {}}}]
    retention: {{facts: [city], families: [recall], ask_after: [{}], seed: {}}}
    """


def digest_of(root: Path, *values: object) -> str:
    root.mkdir()
    (line,) = play(root, TOLD.format(*values), kind="messages", only="recall").journal.finished().values()
    return line.digest


def test_the_digest_of_a_matrix_is_that_of_all_that_is_said_in_it(tmp_path: Path) -> None:
    first = "terse", "Ghent", "Ghent", "Hello.", 1, 0
    digest = digest_of(tmp_path / "a", *first)

    assert digest_of(tmp_path / "another", *first) == digest
    assert digest_of(tmp_path / "b", *first[:3], "Good day.", *first[4:]) == digest  # cells never play the steps
    changed = [
        ("kind", *first[1:]), ("terse", "Oslo", "Oslo", *first[3:]), (*first[:4], 2, 0), (*first[:5], 1),
    ]  # fmt: skip
    other = [digest_of(tmp_path / str(number), *values) for number, values in enumerate(changed)]
    assert len({digest, *other}) == 5


def test_a_baseline_says_the_same_in_another_process_on_a_fresh_clone(tmp_path: Path) -> None:
    was = Project(tmp_path / "was")
    own = SECTION.replace('kind = "messages"', 'kind = "python"\ntarget = "mine:Assistant"')
    was.write("pyproject.toml", own)
    source = (Path(__file__).parent / "retention_clients.py").read_text()
    was.write("mine.py", f"{source}\n\nAssistant = MessagesClient\n")
    was.write("scenarios/memory.yaml", MATRIX)
    kept = was.convtest("retention", "scenarios", "--save", "base.json")
    assert kept.code == 0, kept.text
    shutil.copytree(was.root, tmp_path / "clone", ignore=shutil.ignore_patterns(".convtest_cache", "__pycache__"))
    clone = Project.__new__(Project)
    clone.root, clone.environment = tmp_path / "clone", {}

    same = clone.convtest("retention", "scenarios", "--against", "base.json")
    assert same.code == 0, same.text
    assert "✓ no change detected\n    20 of 20 probes are exactly as they were" in same.out
    assert (same.err, "note:" in same.out) == ("", False)

    clone.write("mine.py", f"{source}\n\nAssistant = Window\n")
    worse = clone.convtest("retention", "scenarios", "--against", "base.json")
    assert worse.code == 1, worse.text
    assert "✗ regressed\n    overwrite.late-told@1-after@1-kill: H was M is, wire P was A is" in worse.out

    refuses = "async def connect(self):\n        raise OSError('the disk is full')"
    clone.write("mine.py", f"{source}\n\nclass Assistant(MessagesClient):\n    {refuses}\n")
    unplayed = clone.convtest("retention", "scenarios", "--against", "base.json")
    assert unplayed.code == 1, unplayed.text
    assert "✗ regressed\n    memory[trunk-kill]: client: the client raised an exception, in repeat 1" in unplayed.out
    assert "the disk is full" in unplayed.out

    clone.write("scenarios/memory.yaml", MATRIX.replace("recall, ", ""))
    other = clone.convtest("retention", "scenarios", "--against", "base.json")
    assert other.code == 2
    assert "the scenario 'memory' is not what it was when the baseline was saved" in other.err
