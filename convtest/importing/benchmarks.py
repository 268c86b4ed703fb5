"""Published questions of memory, from files that a user has: what was told, what is asked, and what may be answered."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from convtest.importing.reading.content import NotImportable
from convtest.importing.scenario_text import document
from convtest.scenario.names import slug
from convtest.structs import Struct

_LONGEST_ANSWER = 60
"""Characters; what is longer is a sentence, which no model gives word by word."""
_NOTE = "What a real model answers is compared by words alone: play it with --live."
_WORD = re.compile(r"\w+")
_ABSENT = 5
"""LoCoMo's category of questions that nothing in the conversation answers."""


class Benchmark(Struct, frozen=True):
    """One conversation with its questions, as a scenario's data."""

    data: dict[str, Any]
    asked: int
    left_out: int
    """Questions whose answers only a judge could compare."""


def benchmarks(kind: str, path: Path) -> list[Benchmark]:
    """Raises NotImportable where it is something else."""
    return list({"bfcl-memory": _bfcl, "locomo": _locomo}[kind](path))


KINDS = {
    "bfcl-memory": "the memory questions of BFCL v4 (Apache-2.0): the folder `data` of bfcl_eval",
    "locomo": "LoCoMo (CC BY-NC 4.0: no commercial use): locomo10.json",
}


def write(made: Benchmark, folder: Path, *, force: bool) -> Path:
    """A scenario file of its own. Raises NotImportable where there is one already."""
    path = folder / f"{made.data['id']}.yaml"
    if path.exists() and not force:
        raise NotImportable(str(path), "there is such a file already", "say --force, or name another folder: --output")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(document(made.data, [_NOTE]), encoding="utf-8", newline="\n")
    return path


# BFCL: a file of questions, one of answers, and a folder of earlier conversations; one JSON object a line


def _bfcl(path: Path) -> Iterator[Benchmark]:
    questions = _lines(path / "BFCL_v4_memory.json")
    answers = {one["id"]: one["ground_truth"] for one in _lines(path / "possible_answer" / "BFCL_v4_memory.json")}
    told: dict[str, list[str]] = {}
    folder = path / "memory_prereq_conversation"
    for file in sorted(folder.glob("*.json")):
        for talk in _lines(file):
            told.setdefault(str(talk["scenario"]), []).extend(_users(talk))
    if not told:
        raise NotImportable(str(path), "there are no conversations in memory_prereq_conversation", _hint("bfcl-memory"))
    for topic, turns in told.items():
        asked = [one for one in questions if one.get("scenario") == topic]
        probes = [
            (next(iter(_users(one)), ""), [str(answer) for answer in answers.get(one["id"], [])]) for one in asked
        ]
        yield _scenario(f"bfcl memory {topic}", "bfcl-memory", turns, probes, [])


def _users(talk: Mapping[str, Any]) -> list[str]:
    return [str(said["content"]).strip() for turn in talk["question"] for said in turn if said["role"] == "user"]


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise NotImportable(str(path), error.strerror or str(error), _hint("bfcl-memory")) from None
    except ValueError as error:
        raise NotImportable(str(path), f"this is not one JSON object a line: {error}", _hint("bfcl-memory")) from None


# LoCoMo: a list of conversations between two people, over many days


def _locomo(path: Path) -> Iterator[Benchmark]:
    try:
        samples = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NotImportable(str(path), error.strerror or str(error), _hint("locomo")) from None
    except ValueError as error:
        raise NotImportable(str(path), f"this is no JSON: {error}", _hint("locomo")) from None
    if not isinstance(samples, list) or not all(isinstance(one, dict) and "conversation" in one for one in samples):
        raise NotImportable(str(path), "this is no list of conversations", _hint("locomo"))
    for number, sample in enumerate(samples, 1):
        probes, traps = [], []
        for one in sample.get("qa", []):
            if one.get("category") == _ABSENT:
                traps.append((str(one["question"]), str(one.get("adversarial_answer", ""))))
            else:
                probes.append((str(one["question"]), [str(one["answer"])] if "answer" in one else []))
        name = f"locomo {sample.get('sample_id') or number}"
        yield _scenario(name, "locomo", _days(sample["conversation"]), probes, traps)


def _days(conversation: Mapping[str, Any]) -> list[str]:
    """Each session of the two is one turn: they talked with each other, and the assistant is told of it."""
    numbers = sorted(int(key.split("_")[1]) for key in conversation if re.fullmatch(r"session_\d+", key))
    turns = []
    for number in numbers:
        said = [f"{one['speaker']}: {one.get('text', '').strip()}" for one in conversation[f"session_{number}"]]
        if said:
            date = conversation.get(f"session_{number}_date_time")
            turns.append("\n".join([*([f"A conversation of {date}:"] if date else []), *said]))
    return turns


# Both


def _scenario(
    name: str, kind: str, turns: list[str], probes: list[tuple[str, list[str]]], traps: list[tuple[str, str]]
) -> Benchmark:
    everything = _plain(" ".join(turns))
    steps: list[dict[str, Any]] = [{"user": _literal(turn)} for turn in turns]
    for question, answers in probes:
        short = [one.strip() for one in answers if 0 < len(one.strip()) <= _LONGEST_ANSWER]
        literal = [one for one in short if f" {_plain(one).strip()} " in everything]
        if question and literal:
            steps.append({"user": _literal(question), "expect": {"matches": _any_of(short)}})
    for question, wrong in traps:
        if question and 0 < len(wrong.strip()) <= _LONGEST_ANSWER:
            steps.append({"user": _literal(question), "expect": {"not": {"matches": _any_of([wrong.strip()])}}})
    asked = len(steps) - len(turns)
    data = {"scenario": name, "id": slug(name), "tags": [kind.replace("-", "_")], "steps": steps}
    return Benchmark(data, asked, len(probes) + len(traps) - asked)


def _plain(text: str) -> str:
    """The words of a text, each between spaces."""
    return f" {' '.join(_WORD.findall(text.casefold()))} "


def _any_of(answers: list[str]) -> str:
    """A whole word or several, in any letters."""
    return _literal(rf"(?i)(?<!\w)(?:{'|'.join(map(re.escape, answers))})(?!\w)")


def _literal(text: str) -> str:
    """`${…}` would stand for a parameter."""
    return text.replace("${", "$${")


def _hint(kind: str) -> str:
    return f"name {KINDS[kind]}"
