"""The single-shot deploy: the whole items API as one Pulumi stack (`nox -s deploy -- tap`)."""

import pulumi

from lib.settings import Settings
from lib.tap_stack import TapStack

for key, value in TapStack("tap", Settings.load()).outputs.items():
    pulumi.export(key, value)
