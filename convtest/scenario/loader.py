"""A scenario file becomes Scenarios: one for each document, row of params and client."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from convtest.errors import Place, Problem, ScenarioError, did_you_mean
from convtest.scenario.decode import decode
from convtest.scenario.grammar import ScenarioShape
from convtest.scenario.lowering import lower
from convtest.scenario.model import Scenario
from convtest.scenario.names import product, row_names, safe_name, slug
from convtest.scenario.nodes import Mapping, Node, Scalar, Sequence, documents, is_null, plain_value, read_text
from convtest.scenario.sweeping import Asked
from convtest.scenario.templates import fill
from convtest.structs import Struct

MAX_ROWS = 20_000
"""Rows of one scenario's params; each is an item, with each client."""


class _Clients(Struct, frozen=True):
    """What is said beside the file: clients, and a sweep."""

    default: str
    known: tuple[str, ...]
    only: str | None
    sweep: Asked | None = None

    def of(self, shape: ScenarioShape) -> list[tuple[str, bool]]:
        """The clients to play with, each with whether it is the scenario's first."""
        named = [shape.client] if isinstance(shape.client, str) else shape.client or [self.default]
        return [(client, client == named[0]) for client in ([self.only] if self.only else named)]


def load(
    path: Path,
    *,
    shown: str,
    default_client: str,
    clients: Iterable[str],
    only_client: str | None = None,
    sweep: Asked | None = None,
) -> list[Scenario]:
    """All scenarios of a file, expanded. Raises ScenarioError with every problem found.

    `shown` is the path as messages give it; `clients` are the profiles that exist; `only_client` takes the place of
    those that the scenarios name; `sweep` stands over what they say about it.
    """
    nodes = documents(read_text(path, shown), shown)
    if not nodes:
        raise ScenarioError([Problem("the file is empty", Place(shown), "a scenario needs scenario: and steps:")])
    known = _Clients(default_client, tuple(clients), only_client, sweep)
    problems: list[Problem] = []
    scenarios: list[Scenario] = []
    for node in nodes:
        try:
            scenarios += _document(node, path, known)
        except ScenarioError as error:
            problems += error.problems
    problems += _same_ids(scenarios)
    if problems:
        raise ScenarioError(sorted(dict.fromkeys(problems), key=lambda problem: problem.place))
    return scenarios


def _document(node: Node, path: Path, clients: _Clients) -> Iterator[Scenario]:
    if not isinstance(node, Mapping):
        raise ScenarioError([Problem("a scenario is a mapping with scenario: and steps:", node.place)])
    rows = _rows(node)
    names = row_names([label for label, _ in rows])
    first = True
    for (_, values), row in zip(rows, names, strict=True):
        # The table itself is decoded once, not with each of its rows.
        kept = {key: child for key, child in node.entries.items() if first or key != "params"}
        entries = {key: child if key == "params" else fill(child, values) for key, child in kept.items()}
        first = False
        filled = Mapping(entries, node.keys, node.flow, node.place)
        shape, problems = decode(filled, ScenarioShape)
        if problems:
            raise ScenarioError(problems)
        shape = clients.sweep.over(shape) if clients.sweep else shape
        yield from _per_client(shape, filled, path, row, clients)


def _per_client(shape: ScenarioShape, node: Mapping, path: Path, row: str, clients: _Clients) -> Iterator[Scenario]:
    scenario_id = _scenario_id(shape, node)
    for client, first in clients.of(shape):
        if clients.known and client not in clients.known:
            named = shape.client is not None or clients.only is not None
            what = f"unknown client {client!r}" + ("" if named else ", which [tool.convtest] names for it")
            place = node.keys.get("client", node.place)
            raise ScenarioError([Problem(what, place, did_you_mean(client, clients.known))])
        name = scenario_id + ("" if first else f"@{safe_name(client)}") + (f"[{row}]" if row else "")
        yield lower(
            shape,
            node,
            path=path,
            id=scenario_id,
            name=name,
            row=row,
            client=client,
            first_client=first,
            clients=clients.known,
        )


def _scenario_id(shape: ScenarioShape, node: Mapping) -> str:
    if shape.id is None:
        return slug(shape.scenario)
    if safe_name(shape.id) != shape.id:
        raise ScenarioError(
            [
                Problem(
                    f"the id {shape.id!r} cannot name a file",
                    node.keys["id"],
                    f"use letters, digits, . _ and -: {slug(shape.id)!r}",
                )
            ]
        )
    return shape.id


def _rows(node: Mapping) -> list[tuple[str, dict[str, Node]]]:
    params = node.entries.get("params")
    if params is None or is_null(params):
        return [("", {})]
    rows = _mappings(params)
    for row in rows:
        if "n" in row:
            raise ScenarioError([Problem("a param cannot be called 'n'", params.place, "repeat fills ${n}")])
    return [("-".join(_label(value) for value in row.values()), row) for row in rows]


def _mappings(params: Node) -> list[dict[str, Node]]:
    rows: list[Any] = []
    if isinstance(params, Mapping) and all(isinstance(v, Sequence) and v.items for v in params.entries.values()):
        lists: dict[str, list[object]] = {
            k: list(v.items) for k, v in params.entries.items() if isinstance(v, Sequence)
        }
        _bounded(math.prod(map(len, lists.values())), params)
        rows = product(lists)
    elif isinstance(params, Sequence) and all(isinstance(item, Mapping) for item in params.items):
        rows = [dict(item.entries) for item in params.items if isinstance(item, Mapping)]
    if not rows:
        raise ScenarioError(
            [Problem("params is a mapping of lists (their product) or a list of mappings (its rows)", params.place)]
        )
    return rows


def _bounded(rows: int, params: Node) -> None:
    if rows > MAX_ROWS:
        what = f"params make {rows:,} rows, more than the {MAX_ROWS:,} that a scenario may have"
        raise ScenarioError([Problem(what, params.place, "list the rows that matter, or make several scenarios")])


def _label(value: Node) -> str:
    return value.text if isinstance(value, Scalar) else str(plain_value(value))


def _same_ids(scenarios: list[Scenario]) -> Iterator[Problem]:
    seen: dict[str, Place] = {}
    for scenario in scenarios:
        folded = scenario.name.casefold()
        if folded in seen:
            yield Problem(
                f"another item of this file is named {scenario.name!r} too",
                scenario.place,
                f"the first stands at line {seen[folded].line}: give one of them an id:, or make the params differ",
            )
        seen.setdefault(folded, scenario.place)
