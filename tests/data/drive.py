"""Small data sets for tests: BVH files and stand-ins for videos, and a run on them that can be killed.

`python -m tests.data.drive INPUT OUTPUT [WORKERS]` builds; what a "video" shows follows from its bytes.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from pathlib import Path

import numpy as np

import motionmill
from motionmill.data.config import DataConfig, UnitConfig
from motionmill.data.engine.build import Summary, build
from motionmill.data.engine.executor import Executor
from motionmill.data.engine.extracted import Extract
from motionmill.data.engine.pool import ProcessPool
from motionmill.data.quality_config import MotionFilterConfig, TransitionConfig
from motionmill.data.split_config import SplitConfig
from motionmill.video.candidate import Failure, PersonClip, RejectedCandidate
from motionmill.video.config import VideoConfig
from motionmill.video.extract import Extraction
from tests.motions import wandering

FRAMES = 40
LOOSE = MotionFilterConfig(
    max_jitter=1e3, max_jitter_peak=1e3, max_foot_slide_mm=1e3, max_floating_percent=100,
    max_penetration_mm=1e4, max_deep_percent=100, max_hinge_degrees=180, max_over_limit_percent=100,
)  # fmt: skip


def config(**changes: object) -> DataConfig:
    """Small units, and thresholds that a part of the wandering people pass."""
    values: dict[str, object] = {
        "units": UnitConfig(recordings=2, videos=1),
        "transition": TransitionConfig(max_root_jump_metres=9, max_root_flip_degrees=180),
        "motion": LOOSE,
        "splits": SplitConfig(val_fraction=0.2, test_fraction=0.2),
    }
    return DataConfig.model_validate(values | changes)


def make_inputs(folder: Path, *, motions: int = 6, videos: int = 2) -> Path:
    """A folder with BVH files, some with captions, one of them broken, and stand-ins for videos."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(motions):
        path = folder / f"take{index:03}.bvh"
        motionmill.save(wandering(index, FRAMES + index), path)
        if index % 2:
            path.with_suffix(".txt").write_text("a person walks about\n", encoding="utf-8")
    (folder / "broken.bvh").write_text("HIERARCHY\nROOT", encoding="utf-8")
    for index in range(videos):
        (folder / f"film{index}.mp4").write_bytes(b"film %d" % index)
    return folder


def people(config: VideoConfig) -> Extract:
    """Stands for whatever finds people in videos."""
    return functools.partial(_people, config)


def _people(config: VideoConfig, path: Path, name: str) -> Extraction:
    data = path.read_bytes()
    if not data.startswith(b"film"):
        raise ValueError(f"{path.name}: not a video")
    seed = int.from_bytes(hashlib.sha256(data).digest()[:4])
    measured = {"confidence": 0.9}
    span = {"frames": (0, FRAMES), "seconds": (0.0, FRAMES / 30)}
    person = PersonClip(
        "0.0.0", 0, 0, 0, measurements=measured, **span,
        motion=wandering(seed, FRAMES), times=np.arange(FRAMES) / 30, boxes=np.zeros((FRAMES, 4)),
    )  # fmt: skip
    failure = Failure("boxes", "confidence", 0.2, config.boxes.min_confidence)
    other = RejectedCandidate(
        "0.0.1", 0, 0, 1, measurements={"confidence": 0.2}, **span, failure=failure
    )
    return Extraction([person], [other], {"frames": float(FRAMES)}, [])


def run(inputs: Path, output: Path, executor: Executor | None = None) -> Summary:
    """Build the small data set."""
    return build([inputs], output, config(), executor=executor, ready=people)


def contents(dataset: Path) -> dict[str, bytes]:
    """Every file of a data set but the journal of its runs."""
    return {
        path.relative_to(dataset).as_posix(): path.read_bytes()
        for path in sorted(dataset.rglob("*"))
        if path.is_file() and path.relative_to(dataset).parts[0] != "run"
    }


if __name__ == "__main__":
    workers = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    run(Path(sys.argv[1]), Path(sys.argv[2]), ProcessPool(workers))
