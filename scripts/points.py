"""Says what the Claude Agent SDK does at each point of the sweeps in scenarios/claude/sweeps.yaml, as Markdown.

Run as `.venv/bin/python scripts/points.py > docs/claude-agent-sdk-points.md`; it takes about four minutes.
"""

import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from convtest.checks.conduct import conduct_of
from convtest.checks.kept import kept_of
from convtest.config import Config, load_config
from convtest.play.mode import Mode
from convtest.play.perform import Played, perform
from convtest.play.prepare import prepare
from convtest.play.sweeping import points
from convtest.scenario.loading import load_file
from convtest.scenario.model import Point, Scenario
from convtest.transcript import ActRecord, TurnRecord

ROOT = Path(__file__).parent.parent
HEAD = """# The Claude Agent SDK, point by point

What the real SDK ({sdk}) and the CLI it bundles do when one turn is disturbed at every event, and one with a tool at
every change: `convtest sweep scenarios/claude/sweeps.yaml`. Every point holds: no hang, no process left, the facts told
before are still known, and all invariants of [What is checked](checks.md) under the policy in
[Clients](clients.md#policy).
Neighbouring points at which the same is seen share a row. Made by `scripts/points.py`.

"After" counts the events that the session had yielded, or, for what breaks the wire, the server's events delivered,
over all answers of the turn. "Next" is what the next request of the session holds of the disturbed turn.

The points before the request are left out here: how far the CLI has got by then is for the machine to say. What it does
there, and misses, stands in [The Claude Agent SDK](claude-agent-sdk.md#what-was-seen).
"""


def main() -> None:
    config = load_config(ROOT)
    assert config is not None
    sys.path.append(str(ROOT))
    sys.stdout.write(HEAD.format(sdk=version("claude-agent-sdk")))
    for base in load_file(ROOT / "scenarios/claude/sweeps.yaml", config):
        sys.stdout.write(f"\n## {base.title[:1].upper()}{base.title[1:]}\n")
        spots = [(one.point, one) for one in points(config, base) if one.point and one.point.kind != "before_request"]
        rows = [(point, played(config, one)) for point, one in spots]
        for do, found in groupby(rows, key=lambda row: row[0].do):
            sys.stdout.write(f"\n### {do}\n\n| after | the turn | next |\n|---|---|---|\n")
            sys.stdout.writelines(_rows(list(found)))


def played(config: Config, scenario: Scenario) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        outcome = perform(prepare(config, scenario, Mode()), Path(folder))
    return _turn(outcome), _next(outcome)


def _swept(outcome: Played) -> TurnRecord:
    point = outcome.transcript.scenario.point
    assert point is not None
    return next(turn for turn in outcome.transcript.turns() if turn.step.index == point.turn)


def _turn(outcome: Played) -> str:
    turn = _swept(outcome)
    ended = turn.end.ended if turn.end is not None else "no end"
    conduct = str(conduct_of(turn)).split(" after ")[0] if conduct_of(turn).waits else ""
    twice = ", the beginning is said twice" if conduct_of(turn).text == "doubled" else ""
    return f"`{ended}`{f', {conduct}' if conduct else ''}{twice}{'' if outcome.verdict.passed else ' — FAILS'}"


def _next(outcome: Played) -> str:
    turn, records = _swept(outcome), outcome.transcript.records
    acts = [record.act.kind for record in records if isinstance(record, ActRecord)]
    after = [one for one in outcome.transcript.turns(turn.session) if one.step.index > turn.step.index]
    sent = after[0].sent() if after else None
    kept = kept_of(sent, turn, after[0].turn.prompt) if sent is not None else None
    if kept is None:
        said = "the prompt is gone"
    elif not kept.yielded and not kept.text:
        said = "the prompt"
    elif kept.text == kept.yielded:
        said = "the prompt and all text that was yielded"
    elif kept.text and kept.yielded.startswith(kept.text) and turn.end is not None and turn.end.ended != "complete":
        said = "the prompt and the text of whole messages"
    elif kept.text:
        said = "the prompt and the text, once"
    else:
        said = "the prompt, none of its text"
    tools = f", {len(kept.uses)} tool use with its result" if kept is not None and kept.uses else ""
    way = f"after {' and '.join(acts)}: " if acts else ""
    return f"{way}{said}{tools}"


def _rows(found: list[tuple[Point, tuple[str, str]]]) -> Iterator[str]:
    for words, group in groupby(found, key=lambda row: row[1]):
        spots = [point for point, _ in group]
        first, last = spots[0], spots[-1]
        where = _where(first) if first is last else f"{_where(first)} to {_where(last)}"
        yield f"| {where} | {words[0]} | {words[1]} |\n"


def _where(point: Point) -> str:
    return "the turn's end" if point.after is None else f"{point.after} ({point.kind})"


if __name__ == "__main__":
    main()
