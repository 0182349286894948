"""The resource types and functions that programs on the embedded AWS may use.

Adding a type: a class of a few lines in the module of its service. That is all; the registry finds it here.
"""

from lib.local.types import apigateway, apigatewayv2, cloudwatch, dynamodb, ec2, iam, lambda_, s3, sfn, sns, wafv2
from lib.local.types.core import Type, UnknownTypeError

_MODULES = (apigateway, apigatewayv2, cloudwatch, dynamodb, ec2, iam, lambda_, s3, sfn, sns, wafv2)

TYPES: dict[str, Type] = {
    found.token: found()
    for module in _MODULES
    for found in vars(module).values()
    if isinstance(found, type) and issubclass(found, Type) and found.token
}


def find(token: str) -> Type:
    """The type of a token; an error that names it when there is none."""
    if token not in TYPES:
        raise UnknownTypeError(token)
    return TYPES[token]
