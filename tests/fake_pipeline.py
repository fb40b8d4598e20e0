"""A pipeline that makes tiny motions at once, for tests of what is around it.

python -m tests.fake_pipeline PROMPTS OUTPUT: after two batches it becomes slow, so that there is time to kill it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from motionmill.generator.prompt import check_prompt
from motionmill.motion.motion import Motion


class FakePipeline:
    """Its motions tell prompt, length and seed apart; a prompt with "impossible" in it fails with its whole batch."""

    def __init__(self) -> None:
        self.release = SimpleNamespace(config=SimpleNamespace(licence="none"))
        self.sizes: list[int] = []

    def check(self, prompt: str, seconds: float | None = None) -> None:
        check_prompt(prompt)
        if seconds is not None and not 0.1 <= seconds <= 600:
            raise ValueError(f"{seconds} seconds; expected 0.1 to 600 seconds")

    def generate(
        self,
        prompts: Sequence[str],
        *,
        seconds: Sequence[float | None],
        seeds: Sequence[int],
        **settings: Any,
    ) -> list[Motion]:
        self.sizes.append(len(prompts))
        if any("impossible" in prompt for prompt in prompts):
            raise RuntimeError("out of\nmemory")
        root = torch.zeros(2, 3)
        eye = torch.eye(3).expand(2, 22, 3, 3)
        return [
            Motion(eye, root + torch.tensor([len(prompt) / 100, length or 0.0, seed / 1000]))
            for prompt, length, seed in zip(prompts, seconds, seeds, strict=True)
        ]


class Tiring(FakePipeline):
    """Takes its time from the third batch on."""

    def generate(self, prompts: Sequence[str], **settings: Any) -> list[Motion]:
        time.sleep(2.0 if len(self.sizes) >= 2 else 0.0)
        return super().generate(prompts, **settings)


if __name__ == "__main__":
    from motionmill.batch import generate_file

    pipeline: Any = Tiring()
    generate_file(pipeline, Path(sys.argv[1]), [Path(sys.argv[2])])
