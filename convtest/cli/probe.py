"""`convtest probe`: says in words what clients do where honest ones differ, and writes their policy down."""

import json
import re
import shlex
import sys
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import click

from convtest.cli.project import project
from convtest.cli.saying import say
from convtest.config import Config
from convtest.probe.behind_http import started
from convtest.probe.probing import Probed, probe

_PERMITS: Mapping[tuple[str, str], str] = {
    ("interrupted_prompt", "either"): "that the prompt of an interrupted turn is lost",
    ("interrupted_prompt", "dropped"): "that the prompt of an interrupted turn is lost",
    ("early_interrupt", "either"): "that a prompt is lost that was interrupted before its request",
    ("early_interrupt", "missed"): "that an interrupt comes too early and stops nothing",
    ("partial_text", "dropped"): "that what was yielded of an interrupted answer is lost",
    ("said", "transformed"): "that words of the model's answers are lost",
    ("killed_prompt", "either"): "that the prompt of a turn is lost with a kill",
    ("killed_prompt", "dropped"): "that the prompt of a turn is lost with a kill",
    ("killed_tool_use", "dropped"): "that a tool which has run before a kill is run again",
    ("cleared", "back"): "that a cleared history is sent again after a resume",
    ("broken_tools", "run"): "that the rest of an answer that broke off is lost",
    ("restarted_text", "doubled"): "that the beginning of an answer is shown twice",
}


@click.command(name="probe")
@click.argument("clients", nargs=-1, required=True)
@click.option("--app", metavar="COMMAND", help="Start this application first, as the fixture convtest_app does.")
@click.option("--path", default="/", help="The path of --app that is asked, such as /chat.")
@click.option("--health", default="", help="The path of --app that is answered once it can be used.")
@click.option("--dry-run", is_flag=True, help="Write nothing into pyproject.toml.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object in place of the text; writes nothing.")
def command(clients: tuple[str, ...], app: str | None, path: str, health: str, dry_run: bool, as_json: bool) -> None:
    """Measure CLIENTS (names of profiles) against the simulator and write down their policy.

    Says in words what each does with an interrupted prompt, with partial text, with a cleared history, and with a wire
    that fails; of several, where they differ.
    """
    config = project()
    if app is None:
        probed = [probe(config, client) for client in clients]
    else:
        with started(config, shlex.split(app), path=path, health=health) as (config, door):
            probed = [probe(config, client, door) for client in clients]
    if as_json:
        say(json.dumps({one.client: _plain(one) for one in probed}))
        return
    for one in probed:
        _tell(config, one)
        if not dry_run:
            _write(config, one)
        say()
    if len(probed) > 1:
        _tell_apart(probed)


def _plain(one: Probed) -> dict[str, object]:
    main = {"main": str(one.main)} if one.main is not None else {}
    opening = {} if one.opening is None else {"opening": one.opening}
    return {
        **opening,
        "policy": dict(one.policy),
        **main,
        "sends": dict(one.sends),
        "seen": {seen.about: seen.words for seen in one.observations},
        "ways": {seen.about: seen.way for seen in one.observations if seen.way},
    }


def _tell(config: Config, one: Probed) -> None:
    say(f"{one.client} ({config.profile(one.client).kind})")
    width = max(len(seen.about) for seen in one.observations)
    for seen in one.observations:
        say(f"{'!' if seen.defect else ' '} {seen.about:<{width}}  {seen.words}")
    if any(seen.defect for seen in one.observations):
        say("! no choice but a defect: a sweep shows where")
    for way in dict.fromkeys(seen.way for seen in one.observations if seen.way):
        say(f"  to have it played ({', '.join(seen.about for seen in one.observations if seen.way == way)}):")
        say(f"    {way}")
    say(f"  policy = {_table(one.policy)}")
    for line in _measured(one):
        say(f"  {line}")
    if one.sends:
        say(f"  sends = {_table(one.sends)}")
    for name, value in one.policy.items():
        if (name, value) in _PERMITS:
            say(f"  {name} = {value} permits {_PERMITS[name, value]}: declare it only if that is meant")
    for name, declared in config.profile(one.client).policy.items():
        if name in one.policy and one.policy[name] != declared:
            say(f"  declared so far: {name} = {declared}; measured: {one.policy[name]}")


def _tell_apart(probed: list[Probed]) -> None:
    """What is not the same for all of them."""
    seen = [{one.about: one.words for one in client.observations} for client in probed]
    topics = [about for about in seen[0] if len({one.get(about, "") for one in seen}) > 1]
    say("where they differ:" if topics else "they do the same")
    width = max(len(client.client) for client in probed)
    for about in topics:
        say(f"  {about}")
        for client, words in zip(probed, seen, strict=True):
            say(f"    {client.client:<{width}}  {words.get(about, 'not seen')}")


def _write(config: Config, one: Probed) -> None:
    path = config.root / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    tables = {"policy": one.policy, **({"sends": one.sends} if one.sends else {})}
    made = with_tables(text, one.client, tables, _measured(one))
    if made is None:
        say(
            f"  add it to [tool.convtest.clients.{one.client}] yourself: it does not stand there as one table", err=True
        )
        sys.exit(1)
    if made != text:
        path.write_text(made, encoding="utf-8")
    say(f"  {'written to' if made != text else 'as it stands in'} {path.name}")


def with_tables(
    text: str, client: str, tables: Mapping[str, Mapping[str, Any]], more: Sequence[str] = ()
) -> str | None:
    """The TOML with what was measured in the client's table, all else as it was; None where there is no such table;
    `more`: lines for it beside tables."""
    lines = text.splitlines(keepends=True)
    heads = {f"[tool.convtest.clients.{name}]" for name in (client, f'"{client}"')}
    start = next((i for i, line in enumerate(lines) if line.split("#")[0].strip() in heads), None)
    if start is None:
        return None
    end = next((i for i in range(start + 1, len(lines)) if lines[i].lstrip().startswith("[")), len(lines))
    made_anew = {"policy", "sends", *(line.partition(" ")[0] for line in more)}
    body = [line for line in lines[start + 1 : end] if line.split("=")[0].split(".")[0].strip() not in made_anew]
    while body and not body[-1].strip():
        body.pop()
    if body and not body[-1].endswith("\n"):
        body[-1] += "\n"
    signed = [f"{line}\n" for line in more]
    gap = ["\n"] if end < len(lines) else []
    measured = [f"{name} = {_table(table)}\n" for name, table in tables.items()]
    made = "".join([*lines[: start + 1], *body, *measured, *signed, *gap, *lines[end:]])
    try:
        found = tomllib.loads(made)["tool"]["convtest"]["clients"][client]
    except tomllib.TOMLDecodeError:
        return None  # the policy stands in a table of its own
    return made if all(found.get(name) == table for name, table in tables.items()) else None


def _measured(one: Probed) -> list[str]:
    """What stands in the profile beside its tables, as lines of TOML; JSON's texts are TOML's."""
    main = [f"main = {one.main}"] if one.main is not None else []
    return main if one.opening is None else [*main, f"opening = {json.dumps(one.opening, ensure_ascii=False)}"]


def _table(table: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{_key(name)} = {_value(value)}" for name, value in table.items()) + "}"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name, re.ASCII) else json.dumps(name)


def _value(value: Any) -> str:
    """As TOML has it: what JSON has is the same there, but for tables."""
    return _table(value) if isinstance(value, Mapping) else json.dumps(value)
