"""Ordered deploys of many stacks on the real Pulumi engine: `python -m lib.deploy VERB ...`."""
