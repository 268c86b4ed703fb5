"""Clients that forget, each in its own way: the matrix, the summary, the picture and the verdict say on which layer and
under which disturbance."""

import re
from pathlib import Path

import pytest

from convtest.retention.baseline import Run
from convtest.retention.comparing import compare
from convtest.retention.families import FAMILIES
from convtest.retention.pictures.heat import heat
from convtest.retention.pictures.tables import leaks
from convtest.retention.telling import as_data, counts
from tests.matrices import GOOD, Played, play, scenario
from tests.retention_clients import LeavesOut

CLIENTS = "tests.retention_clients:"
MATRIX = """
    scenario: memory
    retention:
      families: [recall, overwrite, arithmetic, instruction, leak, unknown]
      ask_after: [3]
      disturb: [none, {}]
    """
BUGS = [
    ("Window", "none", "recall.word", "history"),
    ("ResumeDropsLast", "resume", "overwrite.old_last", "history"),
    ("InterruptNotSaved", "interrupt", "recall.word", "history"),
    ("ClearNotPersisted", "clear", "recall.word", "history"),
    ("CompactKeepsFirst", "compact", "overwrite.late", None),
    ("CompactDropsNumbers", "compact", "arithmetic.sum", None),
    ("CompactDropsInstruction", "compact", "instruction.ending", None),
    ("ForkAliases", "fork", "leak.branch", "prompts_once"),
    ("SharedCache", "none", "leak.other", None),
    ("ResumeLosesSystem", "resume", None, "history"),
    ("LosesInMemory", "interrupt", "recall.word", "history"),
]
"""The client, under what it forgets, a cell that shows it, and the check that the conversation itself breaks."""


def played(root: Path, client: str, disturb: str) -> Played:
    policy: dict[str, str | list[str]] = {"cleared": "gone"} if disturb == "clear" else {}
    system = "You are terse." if client.endswith("ResumeLosesSystem") else ""
    return play(root, MATRIX.format(disturb), client, policy=policy, system=system)


def honest(root: Path, client: str, disturb: str) -> Run:
    """The baseline: the same matrix of the client as it should be."""
    target = f"{CLIENTS}Compacts" if disturb == "compact" else GOOD
    policy: dict[str, str | list[str]] = {"cleared": "gone"} if disturb == "clear" else {}
    system = "You are terse." if client.endswith("ResumeLosesSystem") else ""
    return play(root, MATRIX.format(disturb), target, policy=policy, system=system).run()


@pytest.mark.parametrize(("client", "disturb", "cell", "trunk"), BUGS)
def test_a_client_that_forgets_is_red_on_the_wire_under_its_disturbance_alone(
    tmp_path: Path, client: str, disturb: str, cell: str | None, trunk: str | None
) -> None:
    ran = played(tmp_path, f"{CLIENTS}{client}", disturb)

    found = {name.partition("-")[0]: layers for name, layers in ran.red.items()}
    assert (cell in found) if cell else not found
    assert {layers[0] for layers in found.values()} <= {"wire"}
    if disturb != "none":
        assert not [name for name in ran.red if name.endswith("none")]
        assert "trunk-none" not in ran.trunks
    checks = {check for name, one in ran.trunks.items() if name.endswith(disturb) for check, _ in one}
    assert (trunk in checks) if trunk else not {"history"} & checks
    advice = [one.findings[0].advice for one in ran.cells.values() if one and one.findings]
    if cell and disturb not in {"none", "clear"}:
        assert any(disturb in one for one in advice)


@pytest.mark.parametrize(("client", "disturb"), [one[:2] for one in BUGS])
def test_the_verdict_the_summary_and_the_picture_point_at_the_disturbance(
    tmp_path: Path, client: str, disturb: str
) -> None:
    base = honest(tmp_path, client, disturb)
    assert not framed(heat(base))
    assert not [line for line in counts(base) if "broken" in line]

    ran = played(tmp_path, f"{CLIENTS}{client}", disturb).run()

    found = compare(base, ran)
    assert (found.verdict.word, found.verdict.code) == ("regressed", 1)
    assert all(disturb in line for line in found.verdict.why)
    told = [line for line in counts(ran) if "broken" in line]
    shown = "undisturbed" if disturb == "none" else disturb
    assert told
    assert any(line.startswith(shown) for line in told)
    if disturb != "none":  # what is broken undisturbed is broken under everything
        assert all(shown in line for line in told), told
        assert {name.partition("-")[0] for name in framed(heat(ran))} == {disturb}
    else:
        assert "undisturbed" in framed(heat(ran))


@pytest.mark.parametrize("family", [one for one in FAMILIES if one not in {"unknown", "leak"}])
def test_the_wire_needs_each_telling_of_a_question(
    tmp_path: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is answered."""
    text = f"scenario: memory\nretention: {{families: [{family}], ask_after: [1]}}\n"
    questions = scenario(tmp_path, text).retention.questions()  # type: ignore[union-attr]
    assert play(tmp_path, text).red == {}
    for question in questions:
        for telling in question.needs:
            monkeypatch.setattr(LeavesOut, "text", telling.text)

            red = play(tmp_path, text, f"{CLIENTS}LeavesOut").red

            assert red[f"{question.name}-told@1-after@1-none"][0] == "wire", telling.text
            assert len(red) == 1, telling.text


def framed(picture: str) -> set[str]:
    """The disturbances in whose columns something is framed as broken."""
    heads = re.findall(r'<text x="([\d.]+)" y="68.0" class="bold"[^>]*>([^<]+)</text>', picture)
    assert heads
    frames = [float(x) for x in re.findall(r'<rect x="([\d.]+)"[^>]*class="broken"', picture)]
    return {max((float(x), name) for x, name in heads if float(x) - 8 <= at)[1] for at in frames}


def test_whose_value_was_named_stands_in_the_leak_matrix(tmp_path: Path) -> None:
    run = played(tmp_path, f"{CLIENTS}SharedCache", "fork").run()

    assert {(one.session, one.leaked) for one in run.probes if "L" in one.outcomes} == {
        ("main", "other"), ("child", "other"), ("main", "child"),
    }  # fmt: skip
    picture = leaks(run)
    assert ">child</text>" in picture
    assert ">other</text>" in picture
    assert ">another</text>" not in picture


def test_a_conversation_that_does_not_hold_is_told_to_other_programs(tmp_path: Path) -> None:
    run = played(tmp_path, f"{CLIENTS}ResumeLosesSystem", "resume").run()

    broken = as_data(run, None)["broken_conversations"]
    assert isinstance(broken, dict)
    assert list(broken) == ["memory[trunk-resume]"]
    assert broken["memory[trunk-resume]"].startswith("history: ")
