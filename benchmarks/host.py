"""Facts of the machine that a benchmark ran on, and of the process."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

import torch


def host() -> dict[str, Any]:
    """Machine, cores, load of the last minute, versions, threads."""
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def peak_megabytes() -> float | None:
    """The most memory that this process has had, on Linux.

    Not `getrusage`: what that tells of a process that was just started is the peak of the one that started it.
    """
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.is_file() else None
    return round(int(found[1]) / 1024, 1) if found else None


def forget_peak() -> None:
    """Let `peak_megabytes` begin anew, on Linux."""
    clear = Path("/proc/self/clear_refs")
    if clear.is_file():
        clear.write_text("5")
