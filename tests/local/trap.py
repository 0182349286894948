"""Runs a command and tells of every look-up and every connection to a web port, in a network where all leads here."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading


def trap_connections(port: int) -> None:
    listener = socket.create_server(("0.0.0.0", port), backlog=64)  # noqa: S104 - in a network of its own

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            print(f"TRAPPED connection to {connection.getsockname()}", file=sys.stderr, flush=True)
            connection.close()

    threading.Thread(target=accept, daemon=True).start()


def trap_lookups() -> None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("0.0.0.0", 53))  # noqa: S104 - in a network of its own

    def answer() -> None:
        while True:
            query, address = listener.recvfrom(4096)
            name = b".".join(re.findall(rb"[A-Za-z0-9-]+", query[12:])).decode()
            print(f"TRAPPED look-up of {name}", file=sys.stderr, flush=True)
            # "There is no such name", at once.
            listener.sendto(query[:2] + b"\x81\x83" + query[4:6] + bytes(6) + query[12:], address)

    threading.Thread(target=answer, daemon=True).start()


if __name__ == "__main__":
    trap_lookups()
    for each in (80, 443):
        trap_connections(each)
    raise SystemExit(subprocess.run(sys.argv[1:], check=False).returncode)
