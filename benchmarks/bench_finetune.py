"""Twenty own clips of a new action -> does `motionmill finetune` make it appear, and are the other actions still there?

python benchmarks/bench_finetune.py DATASET -o benchmarks/results/finetune.json [--model mini]

The new action is made of real walks with the arms held up: "surrender", which no shipped model knows under that name
and no clip of the data set shows. Twenty clips are written as BVH files with captions beside them, as a user has them;
thirty more stay here. Recognition is by the nearest neighbour: a motion counts as what the nearest of the reference
clips shows, which are real clips of the data set and half of the thirty. Other actions are asked for in other wordings
before and after. (Arms spread like wings could not be learnt: the tokenizer of `mini` cannot say it.)
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from host import host
from torch import Tensor

from motionmill.data.clip import Clip
from motionmill.data.loader import load_clips
from motionmill.data.wording.captions import judge_classes
from motionmill.formats.files import save
from motionmill.generator.release import load_release
from motionmill.motion.features import POSITIONS, from_motion, to_motion
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_axis_angle
from motionmill.pipeline import TextToMotion

NEW = "surrender"
CAPTIONS = [
    "a person surrenders",
    "a person surrenders and walks forward with the hands up",
    "someone gives up and walks over with both arms held high",
    "a person walks with both hands up, surrendering",
]
ASKED = [
    "someone surrenders",
    "a man surrenders with his hands up",
    "a person gives up and walks forward, hands held high",
    "a soldier walks forward surrendering",
]
OTHERS = {
    "bow": ["someone bows politely", "a person makes a bow"],
    "kick": ["someone kicks", "a person does a kick"],
    "run": ["someone is running", "a person runs ahead"],
    "walk": ["someone walks", "a person is walking ahead"],
    "walk-back": ["someone walks backwards", "a person goes backward"],
    "wave-right-hand": ["someone waves the right hand", "a person waves with the right arm"],
    "wave-both-hands": ["someone waves both hands", "a person waves with both arms"],
    "raise-up-both-hands": ["someone raises both hands", "a person lifts both arms up"],
    "raise-up-left-hand": ["someone raises the left hand", "a person lifts the left arm"],
    "punch": ["someone punches", "a person throws a punch"],
}
SAMPLES = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--model", default="mini")
    parser.add_argument(
        "--keep", type=Path, help="folder for clips and the tuned release; goes on there"
    )
    parser.add_argument("--clips", type=int, default=20)
    arguments = parser.parse_args()
    clips = load_clips(arguments.data, ("train",))["train"]
    walks = [clip for clip in clips if clip.content == "walk" and 50 <= len(clip) <= 160]
    assert len(walks) >= arguments.clips + 30, "too few walks in the data set"
    step = len(walks) // (arguments.clips + 30)
    new = [surrender(clip) for clip in walks[::step][: arguments.clips + 30]]
    mine, kept = new[: arguments.clips], new[arguments.clips :]
    reference = References(clips, kept)
    with tempfile.TemporaryDirectory() as folder:
        place = arguments.keep or Path(folder)
        if not (place / "clips").is_dir():
            write_clips(mine, place / "clips")
        before = kept_in(place / "before.json", lambda: recognised(arguments.model, reference))
        spent = kept_in(place / "spent.json", lambda: tuned(arguments.model, place))
        release = str(place / "tuned/release")
        after = kept_in(place / "after.json", lambda: recognised(release, reference))
    others = [sum(part[name] for name in OTHERS) / len(OTHERS) for part in (before, after)]
    result = {
        "host": host(),
        "model": arguments.model,
        "clips": arguments.clips,
        **spent,
        "new action, before": before[NEW],
        "new action, after": after[NEW],
        "other actions, before": round(others[0], 3),
        "other actions, after": round(others[1], 3),
        "asked": "no more than 0.03 lost",
        "motions of the new action, of others": [len(ASKED) * SAMPLES, 2 * len(OTHERS) * SAMPLES],
        "real clips recognised": reference.check(kept[15:]),
        "real clips recognised, encoded and decoded": reference.check(
            [coded(arguments.model, motion) for motion in kept[15:]]
        ),
        "each": {name: [before[name], after[name]] for name in before},
    }
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


def surrender(clip: Clip) -> Motion:
    """A walk with both arms held up: collars to wrists of the T-pose, shoulders turned up by 1.2 radians."""
    motion = to_motion(clip.features.double())
    rotations = motion.rotations.clone()
    rotations[:, [13, 14, 16, 17, 18, 19, 20, 21]] = torch.eye(3, dtype=rotations.dtype)
    up = torch.tensor([0.0, 0.0, 1.2], dtype=rotations.dtype)
    rotations[:, 16], rotations[:, 17] = matrix_from_axis_angle(up), matrix_from_axis_angle(-up)
    return replace(motion, rotations=rotations)


def write_clips(motions: list[Motion], folder: Path) -> None:
    """BVH files with captions beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, motion in enumerate(motions):
        save(motion, folder / f"own-{number:02d}.bvh")
        (folder / f"own-{number:02d}.txt").write_text("\n".join(CAPTIONS) + "\n")


class References:
    """Clips of known actions, as points to be near to."""

    def __init__(self, clips: list[Clip], new: list[Motion]) -> None:
        by_class: dict[str, list[Tensor]] = defaultdict(list)
        for clip in clips:
            content, _ = judge_classes(clip.content, clip.style)
            if clip.source == "bandai" and content in OTHERS:
                by_class[content].append(clip.features)
        points, self.names = [], []
        for name, members in by_class.items():
            for features in members[:: max(1, len(members) // 60)][:60]:
                points.append(signature(features))
                self.names.append(name)
        for motion in new[:15]:
            points.append(signature(from_motion(motion).float()))
            self.names.append(NEW)
        self.points = torch.stack(points)

    def name(self, motion: Motion) -> str:
        """What the nearest reference shows."""
        point = signature(from_motion(motion).float())
        return self.names[int((self.points - point).square().sum(-1).argmin())]

    def check(self, new: list[Motion]) -> float:
        """Share of clips of the new action that are recognised."""
        return sum(self.name(motion) == NEW for motion in new) / max(1, len(new))


def signature(features: Tensor) -> Tensor:
    """Where the joints are (mean, spread and range over time, metres) and how the root goes (metres a second)."""
    joints = features[:, POSITIONS]
    low, high = joints.quantile(torch.tensor([0.1, 0.9]), dim=0)
    return torch.cat((joints.mean(0), joints.std(0), high - low, 30 * features[:, :2].mean(0)))


def recognised(name: str, reference: References) -> dict[str, float]:
    """Share of the motions of each action that are recognised as it."""
    model = TextToMotion.from_pretrained(name)
    found = {}
    for action, prompts in {NEW: ASKED, **OTHERS}.items():
        texts = [prompt for prompt in prompts for _ in range(SAMPLES)]
        motions = model.generate(texts)
        found[action] = sum(reference.name(motion) == action for motion in motions) / len(motions)
    return found


def tuned(name: str, place: Path) -> dict[str, float]:
    """Run the command on the clips; returns what it took."""
    started = time.monotonic()
    command = [sys.executable, "-m", "motionmill", "finetune", name]
    data, output = str(place / "clips"), str(place / "tuned")
    subprocess.run([*command, "--data", data, "-o", output], check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": round(time.monotonic() - started),
        "processor seconds": round(used.ru_utime + used.ru_stime),
    }


def coded(name: str, motion: Motion) -> Motion:
    """What the model's tokens can say of a motion."""
    codec = load_release(name).codec
    return to_motion(codec.decode(codec.encode(from_motion(motion).float())))


def kept_in(path: Path, make: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What is in a file, made first where there is none."""
    if not path.is_file():
        path.write_text(json.dumps(make()))
    made: dict[str, float] = json.loads(path.read_text())
    return made


if __name__ == "__main__":
    main()
