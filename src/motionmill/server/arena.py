"""Folders of motions and a suite -> blind rating: who is asked what, motions without names, answers kept at once."""

from __future__ import annotations

import base64
import json
import random
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motionmill.evaluation.benchmark import read_info
from motionmill.evaluation.folder import MotionFolder
from motionmill.evaluation.suite import Suite
from motionmill.motion.features import FEATURES_FPS
from motionmill.motion.motion import Motion
from motionmill.server.arena_store import ArenaStore, OpenTask, check_answers
from motionmill.server.arena_tasks import SCRAMBLED, Assignment, Kind, Task

UNITS_A_METRE = 500  # joint positions are sent in steps of 2 mm
_BLOCK_FRAMES = 6  # a scrambled motion jumps this often


class Arena:
    """Everything behind the rating page.

    Attributes:
        missing: by system, the prompts that it has no motion of; nobody is asked for these.
    """

    def __init__(
        self,
        suite: Suite,
        folders: Sequence[Path],
        database: Path,
        *,
        kinds: Sequence[Kind] = ("pair", "single", "check"),
    ) -> None:
        """Look at the motions and open the votes.

        Raises:
            FileNotFoundError, ValueError: a folder without motions, of another suite, two of one name; nothing to
                compare; votes on other systems or another suite.
        """
        self.suite = suite
        self._prompts = {prompt.id: prompt for prompt in suite.prompts}
        self._folders: dict[str, MotionFolder] = {}
        versions: dict[str, str] = {}
        for path in folders:
            info = read_info(path)
            if info.suite_version not in ("", suite.version):
                raise ValueError(f"{path}: motions of another suite ({info.suite})")
            if info.system in self._folders or info.system == SCRAMBLED:
                raise ValueError(f"{path}: a second system called {info.system!r}; rename one")
            self._folders[info.system] = MotionFolder(path)
            versions[info.system] = info.version
        if "pair" in kinds and len(self._folders) < 2 and "single" not in kinds:
            raise ValueError("pairs need two systems; give two folders of motions")
        present = {
            system: [
                (prompt, seed)
                for seed in range(folder.seeds)
                for prompt in self._prompts
                if folder.has(prompt, seed) and folder.read(prompt, seed) is not None
            ]
            for system, folder in self._folders.items()
        }
        self.missing = {
            system: sorted(set(self._prompts) - {prompt for prompt, _ in motions})
            for system, motions in present.items()
        }
        self._assignment = Assignment(present, kinds=kinds, order=suite.version)
        if not len(self._assignment):
            raise ValueError(
                f"nothing to rate: no motions of suite {suite.name!r} that go together in "
                f"{', '.join(map(str, folders))}; files are named after prompts, such as {suite.prompts[0].id}.npz"
            )
        self.store = ArenaStore(database)
        claim = json.dumps({"suite": suite.version, "systems": versions}, sort_keys=True)
        if (known := self.store.claim("what", claim)) != claim:
            raise ValueError(
                f"{database}: votes on other motions ({known}); name another file for these"
            )
        self._giving = threading.Lock()

    @property
    def unreadable(self) -> dict[str, str]:
        """Motion files that are there and no motions: they are shown to nobody."""
        return {
            f"{system}/{name}": reason
            for system, folder in self._folders.items()
            for name, reason in folder.failures.items()
        }

    def next(self, rater: str) -> OpenTask | None:
        """The rater's open task, or a new one; None when all are done."""
        with self._giving:
            known = self.store.open_task(rater)
            if known is not None:
                return known
            task = self._assignment.next(rater, self.store.given())
            return None if task is None else self.store.give(rater, task)

    def question(self, rater: str) -> dict[str, Any]:
        """What the page is told: never which system is which."""
        found = self.next(rater)
        done = self.store.num_answered(rater)
        if found is None:
            return {"done": done, "task": None}
        return {
            "done": done,
            "task": {
                "name": found.name,
                "kind": "single" if len(found.task.shown) == 1 else "pair",
                "prompt": self._prompts[found.task.prompt].text,
                "motions": len(found.task.shown),
            },
        }

    def motion(self, rater: str, name: str, side: int) -> dict[str, Any]:
        """Joint positions of one side of a task.

        Raises:
            KeyError: no such task of this rater, or no such side.
        """
        found = self.store.task(name)
        if found is None or found[0] != rater or not 0 <= side < len(found[1].shown):
            raise KeyError(name)
        joints = self._motion(found[1], side).joints().double().numpy() * UNITS_A_METRE
        numbers = np.clip(np.round(joints), -32768, 32767).astype("<i2")
        return {
            "fps": FEATURES_FPS,
            "frames": len(numbers),
            "joints": base64.b64encode(numbers.tobytes()).decode(),
        }

    def answer(self, rater: str, name: str, answers: Mapping[str, int]) -> bool:
        """Keep an answer; False where it was there.

        Raises:
            KeyError: no such task of this rater.
            ValueError: not one allowed value for each criterion.
        """
        found = self.store.task(name)
        if found is None or found[0] != rater:
            raise KeyError(name)
        check_answers(found[1], answers)
        return self.store.answer(rater, name, answers)

    def _motion(self, task: Task, side: int) -> Motion:
        system = task.shown[side]
        if system == SCRAMBLED:
            return scrambled(self._read(task, task.shown[1 - side]), seed=task.prompt)
        return self._read(task, system)

    def _read(self, task: Task, system: str) -> Motion:
        motion = self._folders[system].read(task.prompt, task.seed)
        if motion is None:
            raise KeyError(task.prompt)
        return motion.resample(FEATURES_FPS).face_forward()


def scrambled(motion: Motion, *, seed: str) -> Motion:
    """A motion whose fifths of a second are in another order: it jumps where no person could."""
    blocks = list(torch.arange(len(motion)).split(_BLOCK_FRAMES))
    random.Random(seed).shuffle(blocks)
    order = torch.cat(blocks)
    return Motion(
        motion.rotations[order], motion.root[order], motion.fps, motion.skeleton, motion.name
    )
