"""`retention`: what it declares, resolved; what makes no sense in it, with its place."""

from collections.abc import Iterator

from convtest.errors import Place, Problem, did_you_mean
from convtest.retention.families import FAMILIES, Ask, Question, Telling
from convtest.retention.matrix import Matrix, known_disturbances, wrong_disturbance
from convtest.retention.pools import wrong_values
from convtest.scenario.grammar import RetentionShape, ScenarioShape
from convtest.scenario.model import Fact, place_in
from convtest.scenario.nodes import Mapping
from convtest.textmatch import contains_value


def matrix_of(shape: ScenarioShape, node: Mapping, facts: dict[str, Fact], problems: list[Problem]) -> Matrix | None:
    """The scenario's matrix; what makes no sense in it is added to `problems`."""
    asked = shape.retention
    if asked is None:
        return None
    found = list(_wrong(asked, node, facts))
    if found:
        problems += found
        return None
    matrix = _made(asked, facts)
    try:
        words = [word for one in matrix.questions() for word in one.values]
    except LookupError as error:
        problems.append(Problem(str(error), _place(node, "pool"), "give it more values, or ask fewer families"))
        return None
    problems += _wrong_filler(matrix, node, words)
    return matrix


def _made(asked: RetentionShape, facts: dict[str, Fact]) -> Matrix:
    names = asked.facts if asked.facts is not None else [] if asked.families else list(facts)
    families = asked.families if asked.families is not None else [] if names else list(FAMILIES)
    return Matrix(
        families=tuple(dict.fromkeys(families)),
        facts=tuple(_question(facts[name]) for name in dict.fromkeys(names)),
        tell_at=tuple(sorted(set(asked.tell_at))),
        ask_after=tuple(sorted(set(asked.ask_after))),
        disturb=tuple(dict.fromkeys("529" if one == "status" else one for one in _listed(asked.disturb))),
        filler=tuple(asked.filler or ()),
        seed=asked.seed,
        language=asked.language,
        pool=tuple(asked.pool or ()),
    )


def _question(fact: Fact) -> Question:
    answers = fact.answers
    needs = tuple(Telling(version.tell, (version.answer,)) for version in fact.versions)
    ask = Ask(text=fact.ask, answer=answers[-1], older=answers[:-1])
    return Question(family="fact", slot=fact.name, needs=needs, asks=(ask,))


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _place(node: Mapping, key: str) -> Place:
    return place_in(node, ("retention", key))


def _wrong(asked: RetentionShape, node: Mapping, facts: dict[str, Fact]) -> Iterator[Problem]:
    for name in asked.facts or ():
        if name not in facts:
            help = did_you_mean(name, facts) or "declare it under facts:"
            yield Problem(f"unknown fact {name!r}", _place(node, "facts"), help)
    for key in ("facts", "families", "tell_at", "ask_after", "disturb", "filler", "pool"):
        if getattr(asked, key) == []:
            yield Problem(f"{key} names nothing", _place(node, key), "leave it out for what it is by default")
    for one in _listed(asked.disturb):
        if one != "status" and wrong_disturbance(one):
            help = did_you_mean(one, known_disturbances()) or f"one of {', '.join(known_disturbances())}"
            yield Problem(f"unknown disturbance {one!r}", _place(node, "disturb"), help)
    if min(asked.tell_at, default=1) < 1:
        yield Problem("tell_at counts turns from 1", _place(node, "tell_at"))
    least = 0 if _listed(asked.disturb) == ["none"] else 1
    if min(asked.ask_after, default=1) < least:
        what = "ask_after is 0 or more" if least == 0 else "ask_after: 0 leaves no turn for a disturbance"
        yield Problem(what, _place(node, "ask_after"), "a disturbance comes on the first turn of filler, or before it")
    for value, what in wrong_values(asked.pool or ()):
        yield Problem(f"the value {value!r} of the pool {what}", _place(node, "pool"), "give each one of its own")


def _wrong_filler(matrix: Matrix, node: Mapping, words: list[str]) -> Iterator[Problem]:
    if not matrix.filler:
        return
    if matrix.fillers() > len(matrix.filler):
        many = f"filler has {len(matrix.filler)} turns, and {matrix.fillers()} are needed before the last question"
        yield Problem(many, _place(node, "ask_after"), "give more filler, or ask earlier")
    for text in matrix.filler:
        held = next((word for word in words if contains_value(text, word)), None)
        if held is not None:
            yield Problem(f"filler holds {held!r}, a value that is told: {text!r}", _place(node, "filler"))
