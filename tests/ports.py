"""Ports for servers that tests start and start again."""

from __future__ import annotations

import random
import socket

_PORTS = range(20_000, 32_000)  # below those that systems give to whoever connects to somewhere


def free_port() -> int:
    """A port of this machine that nobody has, and that is given to nobody until the server has it.

    Drawn, because several processes run the tests: two that ask at once get different ones.
    """
    draw = random.SystemRandom()
    while True:
        port = draw.choice(_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
