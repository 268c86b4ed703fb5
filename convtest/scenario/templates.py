"""`${name}` is the only templating: params fill it, `repeat` fills `${n}`, `$${` is a plain `${`."""

import re
from collections.abc import Mapping as Values

from convtest.errors import Problem, ScenarioError, did_you_mean
from convtest.scenario.nodes import MAX_NODES, Mapping, Node, Scalar, Sequence, plain_value

_TEMPLATE = re.compile(r"\$\$\{|\$\{([^}]*)\}")


def fill(node: Node, values: Values[str, Node]) -> Node:
    """The node with every template filled and every `repeat` unrolled. Raises ScenarioError for undeclared names."""
    return _Filler().fill(node, values)


class _Filler:
    def __init__(self) -> None:
        self._made = 0

    def fill(self, node: Node, values: Values[str, Node]) -> Node:
        self._made += 1
        if self._made > MAX_NODES:
            raise ScenarioError([Problem(f"repeat makes more than {MAX_NODES:,} values", node.place)])
        match node:
            case Scalar():
                return _fill_scalar(node, values)
            case Sequence(items=items):
                return Sequence(tuple(self.fill(item, values) for item in items), node.place)
            case Mapping():
                return self._fill_mapping(node, values)

    def _fill_mapping(self, node: Mapping, values: Values[str, Node]) -> Mapping:
        entries = {
            key: self._repeated(node, child, values)
            if key == "steps" and "repeat" in node.entries
            else self.fill(child, values)
            for key, child in node.entries.items()
        }
        return Mapping(entries, node.keys, node.flow, node.place)

    def _repeated(self, node: Mapping, steps: Node, values: Values[str, Node]) -> Node:
        times = plain_value(self.fill(node.entries["repeat"], values))
        if not isinstance(times, int) or times < 1 or not isinstance(steps, Sequence):
            return self.fill(steps, {**values, "n": Scalar("1", True, steps.place)})
        items = [
            self.fill(step, {**values, "n": Scalar(str(n), True, steps.place)})
            for n in range(1, times + 1)
            for step in steps.items
        ]
        return Sequence(tuple(items), steps.place)


def _fill_scalar(node: Scalar, values: Values[str, Node]) -> Node:
    if "${" not in node.text:
        return node
    whole = re.fullmatch(r"\$\{([^}]*)\}", node.text)
    if whole and node.plain:
        return _lookup(whole[1], node, values)

    def one(found: re.Match[str]) -> str:
        if found[0] == "$${":
            return "${"
        value = _lookup(found[1], node, values)
        if not isinstance(value, Scalar):
            raise ScenarioError([Problem(f"${{{found[1]}}} is not a single value", node.place)])
        return value.text

    return Scalar(_TEMPLATE.sub(one, node.text), False, node.place)


def _lookup(name: str, node: Node, values: Values[str, Node]) -> Node:
    if name in values:
        return values[name]
    help = did_you_mean(name, values) or "declare it under params, or write $${ for a plain ${"
    raise ScenarioError([Problem(f"${{{name}}} is not declared", node.place, help)])
