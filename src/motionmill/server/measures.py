"""A motion -> the numbers that are told with it: its physics, and when its feet rest on the floor."""

from __future__ import annotations

from collections.abc import Callable

from motionmill.motion import physics
from motionmill.motion.motion import Motion


def measures(motion: Motion) -> dict[str, float]:
    """The physics numbers of a motion on SMPL-22, by names with units."""
    found: dict[str, Callable[[Motion], float]] = {
        "foot_slide_mm_per_frame": physics.foot_slide,
        "floating_percent": physics.floating,
        "penetration_mm": physics.penetration,
        "jitter_100_m_per_s3": physics.jitter,
    }
    if len(motion) < 4:
        return {}
    numbers = {name: float(measure(motion)) for name, measure in found.items()}
    return {name: round(value, 3) for name, value in numbers.items() if value == value}


def contact_runs(motion: Motion) -> list[tuple[int, int, int]]:
    """Which foot joint (0 to 3) rests on the floor from which frame to which, the last not included."""
    runs: list[tuple[int, int, int]] = []
    for foot, column in enumerate(physics.contacts(motion).T.tolist()):
        start: int | None = None
        for frame, resting in enumerate([*column, False]):
            if resting and start is None:
                start = frame
            elif not resting and start is not None:
                runs.append((foot, start, frame))
                start = None
    return runs
