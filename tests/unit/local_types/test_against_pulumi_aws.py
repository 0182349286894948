"""The resource types say what the real provider says: its inputs, its outputs, under its names.

The Python SDK of pulumi-aws is generated from the provider's schema, so it is the oracle.
"""

import importlib
import inspect
import typing
from typing import Any

import pulumi
import pytest
from pulumi._types import input_type_py_to_pulumi_names, resource_types

from lib.local.types import TYPES, find
from lib.local.types.core import UnknownTypeError
from lib.local.types.functions import FUNCTIONS


def sdk(token: str) -> tuple[type[pulumi.CustomResource], type]:
    _, module, name = token.split(":")
    package = "lambda_" if module.startswith("lambda/") else module.split("/")[0]
    found = importlib.import_module(f"pulumi_aws.{package}")
    # Where a nested type has taken the name of the arguments, the generator calls them InitArgs.
    return getattr(found, name), getattr(found, f"{name}InitArgs", None) or getattr(found, f"{name}Args")


def optional(annotation: Any) -> bool:
    return type(None) in typing.get_args(annotation)


def promised(token: str) -> set[str]:
    """The outputs that the real provider always gives a value."""
    cls, _ = sdk(token)
    names = {}
    for name, found in inspect.getmembers(cls, lambda member: isinstance(member, property)):
        if name not in ("urn", "id", "pulumi_resource_name", "pulumi_resource_type"):
            names[getattr(found.fget, "_pulumi_name", name)] = typing.get_type_hints(found.fget)["return"]
    return {name for name, output in names.items() if not optional(typing.get_args(output)[0])}


@pytest.mark.parametrize("token", sorted(TYPES))
def test_a_type_takes_no_input_that_the_real_one_does_not_know(token: str) -> None:
    _, args = sdk(token)
    known = set(input_type_py_to_pulumi_names(args).values())
    assert set(find(token).fields) <= known, "a program could set what AWS would never see"


@pytest.mark.parametrize("token", sorted(TYPES))
def test_a_type_gives_every_output_that_the_real_one_promises(token: str) -> None:
    type_ = find(token)
    given = {*type_.fields, *type_.outputs, *type_.empty, *type_.computed}
    assert promised(token) <= given, "a program that reads it would get None, and go on with it"


@pytest.mark.parametrize("token", sorted(TYPES))
def test_a_type_gives_no_output_that_the_real_one_does_not_have(token: str) -> None:
    cls, _ = sdk(token)
    type_ = find(token)
    assert {*type_.outputs, *type_.empty, *type_.computed} <= {*resource_types(cls)}, (
        "it would work here and fail on AWS"
    )


def test_a_type_that_nobody_described_is_refused_by_name() -> None:
    with pytest.raises(UnknownTypeError, match="aws:kinesis/stream:Stream"):
        find("aws:kinesis/stream:Stream")


def test_a_function_is_called_what_the_sdk_calls_it() -> None:
    for token in FUNCTIONS:
        _, module, name = token.split(":")
        package = importlib.import_module(
            f"pulumi_aws.{module.split('/')[0]}" if "index/" not in module else "pulumi_aws"
        )
        snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
        assert token in inspect.getsource(inspect.getmodule(getattr(package, snake)) or package)
