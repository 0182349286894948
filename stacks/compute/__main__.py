"""The compute stack: the function, with its role and log group, on the data stack's table."""

from lib import items
from lib.contracts import DataOutputs
from lib.settings import Settings

items.compute(Settings.load(), DataOutputs.read()).export()
