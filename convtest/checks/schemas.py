"""Values held to a JSON Schema (json-schema.org; 2020-12 unless it says otherwise), by the jsonschema package."""

from collections.abc import Iterator
from typing import Any

from convtest.errors import CheckError, Place


def violations(value: Any, schema: dict[str, Any], place: Place) -> Iterator[tuple[str, str]]:
    """(what the schema asks for, where and how the value differs), in the order of the value.

    Raises CheckError where the schema is none, refers to what is not in it, or the extra `schema` is not installed.
    """
    try:
        from jsonschema import SchemaError
        from jsonschema.validators import Draft202012Validator, validator_for
        from referencing import Registry
        from referencing.exceptions import Unresolvable
    except ImportError:
        raise CheckError("json_schema needs a package: pip install 'convtest[schema]'", place=place) from None
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
        # With a registry of its own nothing is fetched: what is not in the schema does not resolve.
        found = sorted(kind(schema, registry=Registry()).iter_errors(value), key=lambda one: list(map(str, one.path)))
    except SchemaError as error:
        raise CheckError(f"json_schema is no JSON Schema: {error.json_path}: {error.message}", place=place) from None
    except Unresolvable as error:
        raise CheckError(f"json_schema: {error}", place=place) from None
    for one in found:
        yield f"{one.validator}: {one.validator_value}", f"{one.json_path}: {one.message}"
