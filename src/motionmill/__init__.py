"""Text in, an animated character out: motion generation, its data engine, training and evaluation.

The public names below are imported on first use, so that `import motionmill` stays instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from motionmill.formats.files import load, save
    from motionmill.motion.motion import Motion, concatenate
    from motionmill.motion.skeleton import Skeleton, adult_skeleton
    from motionmill.pipeline import TextToMotion
    from motionmill.video.extract import extract_motion

_PUBLIC = {
    "Motion": "motionmill.motion.motion",
    "Skeleton": "motionmill.motion.skeleton",
    "TextToMotion": "motionmill.pipeline",
    "adult_skeleton": "motionmill.motion.skeleton",
    "concatenate": "motionmill.motion.motion",
    "extract_motion": "motionmill.video.extract",
    "load": "motionmill.formats.files",
    "save": "motionmill.formats.files",
}

__all__ = [
    "Motion",
    "Skeleton",
    "TextToMotion",
    "__version__",
    "adult_skeleton",
    "concatenate",
    "extract_motion",
    "load",
    "save",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'motionmill' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
