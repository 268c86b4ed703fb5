"""`convtest record`: plays scenarios against their upstream under pytest and keeps the cassettes."""

import sys
from collections import Counter

import click

from convtest.cli.asking import asks_to_go_on
from convtest.cli.project import missing_folders, project
from convtest.cli.running import NOTHING_COLLECTED, Fact, Stopped, pace_options, run_pytest
from convtest.cli.saying import pass_on, say
from convtest.config import Config
from convtest.errors import ConfigError
from convtest.structs import Struct, field

_WORDS = {"passed": "recorded", "failed": "failed", "error": "error", "skipped": "skipped"}
_FAILS = "no replay"
"""The word for what was recorded and does not replay."""


@click.command(name="record")
@click.argument("items", nargs=-1)
@click.option("-k", "expression", help="Only items that match, as pytest's -k.")
@click.option(
    "--mode",
    type=click.Choice(["once", "new_episodes", "all"]),
    default="once",
    show_default=True,
    help="once: what has no cassette; new_episodes: what is not recorded yet; all: anew.",
)
@click.option("--client", help="Record with this client profile.")
@click.option("--resume", is_flag=True, help="Go on with recordings that broke off.")
@click.option("--max-usd", type=float, metavar="USD", help="Send no further request once this much is spent.")
@click.option("--concurrency", type=click.IntRange(1), metavar="N", help="Requests that may be out at once.")
@click.option("--requests-per-minute", type=click.IntRange(1), metavar="N", help="Of all processes together.")
@click.option("--tokens-per-minute", type=click.IntRange(1), metavar="N", help="Prompts and answers, as requests are.")
@click.option("--replay/--no-replay", default=True, help="Replay what was recorded, and write its snapshots.")
def command(
    items: tuple[str, ...],
    expression: str | None,
    mode: str,
    client: str | None,
    resume: bool,
    max_usd: float | None,
    concurrency: int | None,
    requests_per_minute: int | None,
    tokens_per_minute: int | None,
    replay: bool,
) -> None:
    """Record ITEMS (files, folders or pytest ids); all scenarios of the project without any.

    Starts pytest with the fitting options, so fixtures and conftest files apply. What was recorded is replayed, which
    costs nothing, before it is called recorded; the next plain pytest does the same.
    """
    config = project()
    if not items and (missing := missing_folders(config)):
        raise ConfigError(missing[0], where="[tool.convtest]")
    arguments = list(items) or [str(root) for root in config.scenarios if root.is_dir()]
    resume = resume or _goes_on(config, arguments, client)
    clients = [f"--convtest-client={client}"] if client else []
    options = [f"--convtest-record={mode}", *clients, *(["-k", expression] if expression else [])]
    options += ["--convtest-resume"] if resume else []
    options += [f"--convtest-max-usd={max_usd}"] if max_usd is not None else []
    options += pace_options(concurrency, requests_per_minute, tokens_per_minute)
    session = _Session(replay)
    code = session.play(options, arguments, clients)
    _finish(code, session.counts, narrowed=bool(items or expression))


def _goes_on(config: Config, arguments: list[str], client: str | None) -> bool:
    """Whether a person wants recordings to be gone on with that broke off."""
    if not config.cassettes.is_dir() or next(config.cassettes.rglob("*.partial"), None) is None:
        return False
    # It takes much of what playing takes, and is seldom needed.
    from convtest.play.unfinished import unfinished

    broken = unfinished(config, arguments, client)
    return bool(broken) and asks_to_go_on(broken, "convtest record")


class _Session(Struct):
    """One call of the command: what was recorded, and what became of it."""

    replays: bool
    counts: Counter[str] = field(default_factory=Counter)
    _recorded: dict[str, Fact] = field(default_factory=dict)
    """By pytest id with the whole path: what is still to be replayed."""

    def play(self, options: list[str], arguments: list[str], clients: list[str]) -> int:
        """Record, then replay; pytest's exit code."""
        try:
            ran = run_pytest([*options, *arguments], self._played)
            if ran.code not in (0, NOTHING_COLLECTED):
                pass_on(ran.output)
            return max(ran.code, self._replay(clients)) if self._recorded else ran.code
        except Stopped:
            text = f"stopped; {len(self._recorded)} recorded and not replayed" if self._recorded else "stopped"
            say(f"{text}: what was answered is kept; go on: convtest record --resume", err=True)
            raise

    def _played(self, fact: Fact) -> str | None:
        word = _word(fact)
        if word == "recorded" and self.replays:
            self._recorded[fact["node"]] = fact
            return None
        self.counts[word] += 1
        return _line(fact, word)

    def _replay(self, clients: list[str]) -> int:
        """As the next plain pytest does; snapshots are those of the replay. 1 where something does not replay."""
        # An id stands for its points of a sweep too, and these need not be played here.
        run = ["-m", "not sweep", "--snapshot-update", *clients, *self._recorded]
        failed: list[Fact] = []

        def replayed(fact: Fact) -> str | None:
            first = self._recorded.pop(fact["node"], None)
            if first is None:
                return None
            held = fact["outcome"] == "passed"
            self.counts["recorded" if held else _FAILS] += 1
            failed.extend([] if held else [fact])
            snapshot = f"\nsnapshot  {fact['snapshot']}" if fact.get("snapshot") else ""
            return _line(first, "recorded" if held else _FAILS) + snapshot

        ran = run_pytest(run, replayed)
        self.counts.update({_FAILS: len(self._recorded)} if self._recorded else {})
        if failed or self._recorded:
            pass_on(ran.output)
        for fact in failed:
            say(f"{fact['item']} was recorded, and its replay does not hold: {_advice(fact)}")
        return int(bool(failed or self._recorded))


def _advice(fact: Fact) -> str:
    """The one thing to do."""
    if "miss" in str(fact.get("cause")):
        return "the client does not send the same twice; declare what changes as volatile in [tool.convtest]"
    return "see above what differs; pytest shows it again"


def _finish(code: int, counts: Counter[str], *, narrowed: bool) -> None:
    empty = code == NOTHING_COLLECTED and narrowed
    nothing = "no item matches what was named: nothing is recorded" if empty else "nothing to record"
    say(", ".join(f"{count} {word}" for word, count in counts.items()) or nothing, err=empty)
    bad = 2 if counts["error"] or code in (2, 3, 4) or empty else 1 if counts["failed"] or code == 1 else 0
    sys.exit(bad)


def _word(fact: Fact) -> str:
    word = _WORDS.get(fact["outcome"], str(fact["outcome"]))
    return "kept" if word == "recorded" and not fact.get("cassette") else word


def _line(fact: Fact, word: str) -> str:
    usd = fact.get("usd")
    cost = f"{usd:.4f} USD" if usd is not None else "cost unknown"
    spent = f"  {fact.get('tokens', 0)} tokens, {cost}" if "tokens" in fact and word != "kept" else ""
    aside = f"\naside     {fact['aside']}: turns of a recording that broke off" if fact.get("aside") else ""
    return f"{word:<9} {fact['item']}  {fact['seconds']:.2f}s{spent}{aside}"
