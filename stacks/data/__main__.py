"""The data stack: the items table. Owned by the data team; every other stack reads what it exports."""

from lib import items
from lib.settings import Settings

items.data(Settings.load()).export()
