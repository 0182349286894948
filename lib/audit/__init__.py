"""What scanners of others say: of the planned resources, of the dependencies, and of the tree."""
