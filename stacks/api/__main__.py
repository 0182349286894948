"""The api stack: the REST API in front of the compute stack's function."""

from lib import items
from lib.contracts import ComputeOutputs
from lib.settings import Settings

items.api(Settings.load(), ComputeOutputs.read()).export()
