"""Time and operations of a run -> how fast it is, what it waits for, and what of the machine's speed it uses."""

from __future__ import annotations

import functools
import sys
import time
from dataclasses import dataclass, field

import torch

# Dense matrix products, operations a second: NVIDIA's data sheets, without sparsity.
_PEAK_BF16 = {
    "B200": 2250e12,
    "H200": 989e12,
    "H100 PCIE": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10G": 70e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}


@dataclass
class Stopwatch:
    """What happened since it was started."""

    started: float = field(default_factory=time.perf_counter)
    computing_seconds: float = 0.0
    waited_before: float = 0.0
    steps: int = 0
    items: float = 0.0
    flops: float = 0.0

    def numbers(self, waited_seconds: float, peak: float | None) -> dict[str, float]:
        """Speeds since the start, for the log.

        Args:
            waited_seconds: of the batches' iterator, since the run began.
            peak: operations a second that the processes could do together.

        Returns:
            steps and items a second; data_wait and overhead: shares of the time spent waiting for data, and on all but
            data, forward, backward and the optimiser; mfu: model operations (three forward passes) of those possible.
        """
        seconds = max(1e-9, time.perf_counter() - self.started)
        waited = waited_seconds - self.waited_before
        numbers = {
            "steps_per_second": self.steps / seconds,
            "tokens_per_second": self.items / seconds,
            "data_wait": waited / seconds,
            "overhead": max(0.0, 1 - (waited + self.computing_seconds) / seconds),
        }
        if peak and self.flops:
            numbers["mfu"] = 3 * self.flops / seconds / peak
        return numbers


def memory_gib(device: torch.device) -> float:
    """The most memory that was in use, GiB: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    if sys.platform == "win32":
        return 0.0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


@functools.cache
def peak_flops(device: torch.device, dtype: torch.dtype) -> float | None:
    """Operations a second of matrix products: from the GPU's data sheet, or as this CPU multiplies large matrices."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device).upper()
        found = [peak for part, peak in _PEAK_BF16.items() if part in name]
        return None if not found else found[0] / (1 if dtype == torch.bfloat16 else 2)
    if device.type != "cpu":
        return None
    size = 768
    left = torch.ones(size, size, dtype=dtype)
    best = min(_seconds(left) for _ in range(3))
    return 2 * size**3 / best


def _seconds(matrix: torch.Tensor) -> float:
    started = time.perf_counter()
    matrix @ matrix
    return time.perf_counter() - started
