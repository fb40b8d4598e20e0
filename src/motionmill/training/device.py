"""The name of a device -> the device, if this machine has it."""

from __future__ import annotations

import torch


def choose_device(name: str | torch.device | None = None) -> torch.device:
    """`cpu`, `cuda`, `cuda:1`, `mps`; without a name CUDA where there is one, else the CPU.

    Raises:
        ValueError: no such kind of device, or none on this machine.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device {name!r}; expected cpu, cuda, cuda:N or mps") from None
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(device.type, False):
        here = ", ".join(kind for kind, there in available.items() if there)
        raise ValueError(f"device {str(device)!r} is not on this machine; it has {here}")
    return device
