"""Records of retention runs, made up."""

from collections.abc import Callable, Mapping
from typing import cast

from msgspec import structs

from convtest.retention.baseline import Origin, Run, run_of
from convtest.retention.probes import Letter, Probe, Trunk
from convtest.structs import replace

ORIGIN = Origin(
    client="assistant",
    mode="live",
    convtest="0.1.0",
    models=("claude-haiku-4-5",),
    scenarios={"memory": "aa"},
    policy={"interrupted_prompt": "kept"},
    settings="bb",
)
SIMULATED = structs.replace(ORIGIN, mode="simulated", models=("simulated",))
FAMILIES = "recall", "order", "overwrite"
DISTURBS = "none", "kill", "fork-child", "compact"
AFTER = 1, 5, 20


def probe(**more: object) -> Probe:
    one = Probe(
        id="memory[recall.code-told@1-after@5-none]", family="recall", slot="code", session="main", told_at=1, after=5,
        disturb="none", row="", seed=0, repeat=1, trunk="memory[trunk-none]", outcome="H", wire="P",
    )  # fmt: skip
    return replace(one, **more)


def probes_of(outcome: Callable[[Probe], str], repeats: int = 5, disturbs: tuple[str, ...] = DISTURBS) -> list[Probe]:
    """A matrix: each family at each distance under each disturbance, with what `outcome` says of each."""
    made = []
    for repeat in range(1, repeats + 1):
        for disturb in disturbs:
            for family in FAMILIES:
                for after in AFTER:
                    for told_at in (1, 3):
                        one = probe(
                            id=f"memory[{family}.code-told@{told_at}-after@{after}-{disturb}]",
                            family=family, slot=f"code-{told_at}", told_at=told_at, after=after, disturb=disturb,
                            repeat=repeat, trunk=f"memory[trunk-{disturb}]", reply_layer="store",
                        )  # fmt: skip
                        made.append(replace(one, outcome=cast("Letter", outcome(one))))
    return made


def trunks_of(repeats: int = 5, disturbs: tuple[str, ...] = DISTURBS, model: str = "claude-haiku-4-5") -> list[Trunk]:
    return [
        Trunk(
            id=f"memory[trunk-{disturb}]", disturb=disturb, row="", seed=0, repeat=repeat, model=model,
            prompt_tokens=tuple(_tokens(disturb)), disturbed=() if disturb == "none" else (8,),
        )
        for repeat in range(1, repeats + 1)
        for disturb in disturbs
    ]  # fmt: skip


def _tokens(disturb: str) -> list[int]:
    grown = [120 + 85 * turn for turn in range(24)]
    return [one - (500 if disturb == "compact" and turn > 8 else 0) for turn, one in enumerate(grown)]


def run(
    outcome: Callable[[Probe], str] | Mapping[str, str] = lambda one: "H",
    *,
    repeats: int = 5,
    disturbs: tuple[str, ...] = DISTURBS,
    origin: Origin = ORIGIN,
) -> Run:
    """Of a matrix; a mapping gives the outcomes of a disturbance."""
    said = (lambda one: outcome.get(one.disturb, "H")) if isinstance(outcome, Mapping) else outcome
    return run_of(origin, probes_of(said, repeats, disturbs), trunks_of(repeats, disturbs))
