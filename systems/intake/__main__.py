"""The request intake pipeline: a signed request becomes an object, a record and an execution."""

import pulumi

from lib.systems import intake

for key, value in intake.deploy(intake.settings()).items():
    pulumi.export(key, value)
