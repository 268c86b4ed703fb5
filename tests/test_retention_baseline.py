"""A baseline is a file that says the same everywhere, and is compared with nothing but its like."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtest.errors import RetentionError
from convtest.retention.baseline import Run, load, run_of, save, text_of
from convtest.retention.comparing import compare
from convtest.retention.probes import Probe
from tests.retention_records import ORIGIN, SIMULATED, probe, probes_of, run, trunks_of


def changed(**more: Any) -> Run:
    return msgspec.structs.replace(run(), origin=msgspec.structs.replace(ORIGIN, **more))


@given(st.integers(0, 2**16), st.sampled_from("HMSGCLFN"))
def test_what_is_saved_is_what_is_loaded_whatever_the_order(seed: int, letter: str) -> None:
    chance = Random(seed)
    probes = probes_of(lambda one: chance.choice(["H", letter]), repeats=2)
    trunks = trunks_of(2)
    first = run_of(ORIGIN, probes, trunks)
    chance.shuffle(probes)
    chance.shuffle(trunks)

    assert text_of(run_of(ORIGIN, probes, trunks)) == text_of(first)
    assert msgspec.json.decode(text_of(first), type=Run) == first


def test_a_file_has_a_line_for_each_probe_and_is_sorted(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "base.json"

    save(path, run({"kill": "M"}))

    text = path.read_text()
    lines = [line for line in text.splitlines() if '"outcomes"' in line]
    assert len(lines) == 4 * 3 * 3 * 2
    assert json.loads(lines[0].rstrip(","))["outcomes"] == "HHHHH"
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert "rate" not in text
    assert load(path) == run({"kill": "M"})
    assert os.listdir(path.parent) == ["base.json"]


def test_a_file_that_cannot_be_written_whole_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "base.json"
    save(path, run())

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(path, run({"kill": "M"}))

    assert load(path) == run()
    assert os.listdir(tmp_path) == ["base.json"]


def cut(text: str) -> str:
    return text[: len(text) // 2]


def no_letter(text: str) -> str:
    return text.replace('"HHHHH"', '"HHXHH"', 1)


def too_short(text: str) -> str:
    return text.replace('"HHHHH"', '"HHHH"', 1)


def twice(text: str) -> str:
    line = next(line for line in text.splitlines() if '"outcomes"' in line)
    return text.replace(line, f"{line}\n{line}", 1)


def newer(text: str) -> str:
    return text.replace('"schema": 1', '"schema": 2')


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (cut, "this baseline is cut off"),
        (lambda text: "", "this baseline is cut off"),
        (no_letter, "has the letter 'X'"),
        (too_short, "has 4 outcomes and 5 wires for 5 repeats"),
        (twice, "stands in it twice"),
        (newer, "a baseline of version 2, and this convtest reads version 1"),
        (lambda text: "[]", "this is no baseline: Expected `object`"),
        (lambda text: text.replace('"repeats"', '"repeat"'), "missing required field `repeats`"),
    ],
)  # fmt: skip
def test_what_is_no_baseline_is_one_clear_error(tmp_path: Path, edit: Callable[[str], str], what: str) -> None:
    path = tmp_path / "base.json"
    path.write_text(edit(text_of(run())))

    with pytest.raises(RetentionError, match=what) as caught:
        load(path)

    assert str(caught.value).startswith(str(path))
    assert str(caught.value).splitlines()[-1].strip().endswith("convtest retention --save")


def test_a_baseline_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RetentionError, match=r"base\.json: No such file"):
        load(tmp_path / "base.json")


@pytest.mark.parametrize(
    ("now", "what"),
    [
        (changed(scenarios={"other": "aa"}), "the baseline is of other scenarios: memory; this run is of other"),
        (changed(scenarios={"memory": "ab"}), "the scenario 'memory' is not what it was"),
        (changed(policy={"interrupted_prompt": "dropped"}), "interrupted_prompt was 'kept' and is 'dropped'"),
        (changed(policy={"interrupted_prompt": "kept", "said": "exact"}), "said was 'not said' and is 'exact'"),
        (changed(client="other"), "of the client 'assistant', and this run is of 'other'"),
        (changed(mode="simulated"), "the baseline is of a live run, and this one is simulated"),
        (run_of(ORIGIN, [probe(seed=3)], []), "of the seeds 0, and this run is of 3"),
    ],
)
def test_what_is_no_like_is_refused(now: Run, what: str) -> None:
    with pytest.raises(RetentionError, match=what) as caught:
        compare(run(), now)

    assert "compare like with like" in str(caught.value)


def test_other_models_and_settings_are_warned_of() -> None:
    found = compare(run(), changed(models=("claude-opus-4",), settings="cc", convtest="0.2.0"))

    assert found.verdict.code == 0
    assert found.warnings == (
        "another model answered: claude-haiku-4-5 then, claude-opus-4 now",
        "other settings are sent than then: system prompt, tools or sampling",
        "the baseline was saved by convtest 0.1.0, this is 0.2.0",
    )


def test_a_live_run_is_judged_by_its_trunks() -> None:
    worse = compare(run(), run({"kill": "M"}))
    lucky = compare(run(), run(lambda one: "M" if one.disturb == "kill" and one.repeat == 2 else "H"))

    assert worse.verdict.word == "regressed"
    assert worse.verdict.trunks == (20, 20)
    assert {name: round(one.drop, 2) for name, one in worse.verdict.families.items()} == {
        "order": 0.25,
        "overwrite": 0.25,
        "recall": 0.25,
    }
    assert lucky.verdict.word == "underpowered"


def test_what_has_no_reply_is_neither_held_nor_lost() -> None:
    def silent(one: Probe) -> str:
        return "N" if one.repeat == 1 and one.told_at == 1 and one.after == 1 and one.disturb == "none" else "H"

    assert compare(run(), run(silent)).verdict.all == compare(run(), run()).verdict.all
    with pytest.raises(RetentionError, match="90 of 360 probes of this run had no reply"):
        compare(run(), run({"kill": "N"}))


def test_a_leak_and_a_broken_wire_fail_a_live_run_without_statistics() -> None:
    leaked = run(lambda one: "L" if one.id.endswith("recall.code-told@1-after@5-kill]") and one.repeat == 4 else "H")
    probes = [
        probe(repeat=at, intact=at != 2, wire="A" if at == 2 else "P", id="memory[recall.code-told@1-after@5-none]")
        for at in range(1, 6)
    ]

    assert compare(run(), leaked).verdict.why == (
        "memory[recall.code-told@1-after@5-kill]: a value of another session was named, in repeat 4",
    )
    assert compare(run(), run_of(ORIGIN, probes, [])).verdict.why == (
        "memory[recall.code-told@1-after@5-none]: the wire is broken, in repeat 2",
    )


def test_what_only_one_side_has_is_counted_and_not_compared() -> None:
    found = compare(run({"kill": "M"}), run(disturbs=("none", "kill")))

    assert found.notes == ("36 probes of the baseline not asked in this run",)
    assert found.verdict.trunks == (10, 10)


def simulated(outcome: Callable[[Any], str] = lambda one: "H", repeats: int = 1, **more: Any) -> Run:
    made = run(outcome, repeats=repeats, origin=SIMULATED)
    return msgspec.structs.replace(made, **more)


def test_simulated_runs_are_compared_exactly() -> None:
    one = "memory[recall.code-told@1-after@5-kill]"
    now = simulated(lambda probe: "M" if probe.id == one else "H")

    assert compare(simulated(), simulated(repeats=3)).verdict.why == ("72 of 72 probes are exactly as they were",)
    assert compare(simulated(), now).verdict.why == (f"{one}: H was M is, wire P was P is",)
    assert compare(simulated(), now).verdict.code == 1
    better = compare(now, simulated())
    assert better.verdict.code == 0
    assert better.notes == (f"changed, and not for the worse: {one}: M was H is, wire P was P is",)


def test_many_differences_are_counted() -> None:
    why = compare(simulated(), simulated(lambda one: "M")).verdict.why

    assert len(why) == 13
    assert why[-1] == "… and 60 more"


def test_other_prompt_tokens_are_told() -> None:
    now = simulated()
    first = msgspec.structs.replace(now.conversations[0], prompt_tokens=(120, 100))
    now = msgspec.structs.replace(now, conversations=(first, *now.conversations[1:]))

    assert compare(simulated(), now).notes == (
        "prompt tokens differ in 1 trunks; first in memory[trunk-compact], turn 2: 205 and 100",
    )


def test_nothing_in_common_is_an_error() -> None:
    with pytest.raises(RetentionError, match="nothing can be compared"):
        compare(simulated(), run_of(SIMULATED, [probe(id="else")], []))


def test_the_verdict_is_the_same_in_another_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from convtest.retention.baseline import load; "
        "from convtest.retention.comparing import compare; print(compare(*map(load, map(Path, sys.argv[1:]))))"
    )
    save(tmp_path / "base.json", run(lambda one: "MHHHHHH"[(one.repeat + one.after) % 7]))
    save(tmp_path / "now.json", run(lambda one: "HHMHHHH"[(one.repeat + one.after) % 7]))

    said = {
        subprocess.run(
            [sys.executable, "-c", code, "base.json", "now.json"],
            cwd=tmp_path, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip

    assert said == {f"{compare(load(tmp_path / 'base.json'), load(tmp_path / 'now.json'))}\n"}
