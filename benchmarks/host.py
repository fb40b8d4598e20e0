"""Facts of the machine that a benchmark ran on."""

from __future__ import annotations

import os
import platform
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
