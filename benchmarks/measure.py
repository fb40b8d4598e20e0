"""Calls -> how long they take: taken in turn, so that other work on the machine meets all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Timing:
    """Seconds of the repeats of one case, by the clock and of processor time (all threads added)."""

    clock: list[float]
    processor: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.clock)

    @property
    def best(self) -> float:
        return min(self.clock)

    def row(self) -> dict[str, float]:
        """Milliseconds for a report. Processor time tells what a call takes where other work shares the machine."""
        return {
            "median ms": round(1e3 * self.median, 3),
            "best ms": round(1e3 * self.best, 3),
            "processor ms, least": round(1e3 * min(self.processor), 3),
        }


def interleaved(
    cases: Mapping[str, Callable[[], object]], *, repeats: int = 5
) -> dict[str, Timing]:
    """All cases once a round; a round before the first warms up."""
    timings = {name: Timing([], []) for name in cases}
    for round_number in range(repeats + 1):
        for name, case in cases.items():
            clock, processor = time.perf_counter(), time.process_time()
            case()
            if round_number:
                timings[name].clock.append(time.perf_counter() - clock)
                timings[name].processor.append(time.process_time() - processor)
    return timings


def matrix_vector(num_bytes: int = 1 << 29) -> tuple[Callable[[], object], int]:
    """A float32 matrix-vector product that reads more than a cache holds, and how many bytes that is."""
    width = 1024
    matrix = torch.ones(num_bytes // 4 // width, width)
    vector = torch.ones(width)
    return lambda: torch.mv(matrix, vector), matrix.numel() * 4


def multiply_speed(*, repeats: int = 5) -> float:
    """Float32 operations a second of a product of large matrices, the best of some."""
    left, right = torch.ones(1024, 1536), torch.ones(1536, 1024)
    timing = interleaved({"mm": lambda: left @ right}, repeats=repeats)["mm"]
    return 2 * left.numel() * 1024 / timing.best
