"""The name of a device -> the device, if this machine has it; batches -> batches on a device."""

from __future__ import annotations

import dataclasses
from typing import Any

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


def move(batch: Any, device: torch.device) -> Any:
    """A tensor, or a tuple, list, dict or dataclass of them, on a device; other values as they are."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: move(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(move(value, device) for value in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(move(value, device) for value in batch)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        parts = {part.name: getattr(batch, part.name) for part in dataclasses.fields(batch)}
        return dataclasses.replace(
            batch, **{key: move(part, device) for key, part in parts.items()}
        )
    return batch
