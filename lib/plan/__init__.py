"""What the programs would deploy, without a CLI, a plugin, credentials or a network."""
