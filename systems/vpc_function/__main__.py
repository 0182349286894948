"""The function in a VPC: no way in, no way out but to its table."""

import pulumi

from lib.systems import vpc_function

for key, value in vpc_function.deploy(vpc_function.settings()).items():
    pulumi.export(key, value)
