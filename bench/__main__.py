"""Run the benches: `nox -s bench` all of them, `nox -s bench -- handler --quick` one with its own options."""

from __future__ import annotations

import subprocess
import sys

BENCHES = ("handler", "local", "deploy")


def main(arguments: list[str]) -> int:
    """Run the named bench, or every one; returns the first exit code that is not 0."""
    if arguments and arguments[0] not in BENCHES:
        print(f"bench: there is no {arguments[0]!r}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    names, options = (arguments[:1], arguments[1:]) if arguments else (BENCHES, [])
    commands = [[sys.executable, "-m", f"bench.{name}", *options] for name in names]
    codes = [subprocess.run(command, check=False).returncode for command in commands]
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
