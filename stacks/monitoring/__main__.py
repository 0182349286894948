"""The monitoring stack: alarms on the compute stack's function, and the topic they notify."""

from lib import items
from lib.contracts import ComputeOutputs
from lib.settings import Settings

items.monitoring(Settings.load(), ComputeOutputs.read()).export()
