"""The JSON Schema takes what the loader takes, and knows the whole language."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from convtest.scenario import nodes
from convtest.scenario.grammar import STEP_KEYS
from convtest.scenario.meanings import MEANINGS
from convtest.scenario.schema import schema
from tests.project import Project

REPOSITORY = Path(__file__).parent.parent
VALIDATOR = jsonschema.Draft202012Validator(schema())


def shipped() -> list[tuple[str, object]]:
    folders = [
        REPOSITORY / "scenarios",
        REPOSITORY / "convtest" / "retention",
        REPOSITORY / "convtest" / "probe",
        *sorted((REPOSITORY / "examples").glob("*/scenarios")),
    ]
    paths = [path for folder in folders for path in sorted(folder.rglob("*.yaml")) if "node_modules" not in path.parts]
    return [
        (f"{path.stem}-{index}", nodes.plain_value(node))
        for path in paths
        for index, node in enumerate(nodes.documents(path.read_text(), path.name))
    ]


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


def test_every_key_says_what_it_is() -> None:
    made = schema()
    shapes = {"ScenarioShape": made, **made["$defs"]}
    told = {name: sorted(meanings) for name, meanings in MEANINGS.items()}

    assert told == {name: sorted(one["properties"]) for name, one in shapes.items() if "properties" in one}
    assert all(value["description"] for one in shapes.values() for value in one.get("properties", {}).values())


@pytest.mark.parametrize("document", [one for _, one in shipped()], ids=[name for name, _ in shipped()])
def test_every_shipped_scenario_is_valid(document: object) -> None:
    VALIDATOR.validate(document)


@pytest.mark.parametrize(
    "document",
    [
        {"scenario": "x"},
        {"scenario": "x", "steps": [{"usr": "a"}]},
        {"scenario": "x", "steps": [{"user": "a", "tell": "b"}]},
        {"scenario": "x", "steps": [{"user": "a", "expect": {"ended": "completed"}}]},
        {"scenario": "x", "steps": [{"user": "a"}], "extra": 1},
    ],
)
def test_what_the_loader_refuses_is_invalid(document: object) -> None:
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize(
    "document",
    [
        {"scenario": "x", "timeout": "30s", "steps": [{"user": "a", "expect": {"contains": 18}}]},
        {"scenario": "x", "timeout": 30, "steps": [{"user": 12, "expect": {"contains": ["a", "b"]}}]},
        {"scenario": "x", "steps": [{"together": [[{"user": "a"}], [{"user": "b"}]]}]},
        {"scenario": "x", "retention": {"families": ["recall"], "disturb": "kill", "ask_after": [1]}},
        {"scenario": "x", "steps": [{"user": "a"}], "sweep": {"turn": "t", "disturb": ["kill"], "at": "every event"}},
    ],
)
def test_the_whole_language_is_known(document: object) -> None:
    VALIDATOR.validate(document)


def test_every_step_key_is_in_it() -> None:
    assert set(STEP_KEYS) <= set(schema()["$defs"]["StepShape"]["properties"])


def test_init_and_import_name_the_schema_in_what_they_write(project: Project) -> None:
    (project.root / "pyproject.toml").unlink()
    project.write("from/talk.json", '[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]')

    project.convtest("init")
    project.convtest("import", "from/talk.json", "--output", "scenarios/deep/talk.yaml")

    assert json.loads(project.read("scenarios/scenario.schema.json")) == schema()
    for name in ("first.yaml", "deep/talk.yaml"):
        line = project.read(f"scenarios/{name}").splitlines()[0]
        found = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", line)
        assert found is not None, line
        assert (project.root / "scenarios" / name).parent.joinpath(found[1]).resolve() == (
            project.root / "scenarios" / "scenario.schema.json"
        )


def test_a_schema_that_is_there_stays(project: Project) -> None:
    project.write("scenarios/scenario.schema.json", "{}")

    assert "kept     scenarios/scenario.schema.json" in project.convtest("init").out
    assert project.read("scenarios/scenario.schema.json") == "{}"
