"""The policy pack: `pulumi up --policy-pack ../../policy`."""

from policy.pack import serve

serve()
