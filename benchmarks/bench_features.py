"""Features -> joints and rotations: the reference's way, clip by clip with a loop over frames, beside ours.

python benchmarks/bench_features.py -o benchmarks/results/features.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from host import host
from measure import interleaved
from torch import Tensor

from motionmill.motion import features as ours
from motionmill.motion.rotations import matrix_to_6d, yaw_matrix
from motionmill.motion.skeleton import adult_skeleton

ASKED = {
    "position route, joints": 2.64e6,
    "rotation route, rotations": 0.98e6,
    "rotation route, joints": 0.98e6,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    rows = []
    for dtype in (torch.float32, torch.float64):
        clips = noisy_features(arguments.clips, arguments.frames).to(dtype)
        rows += [measure(name, clips, arguments.repeats) for name in ROUTES]
    result = {
        "host": host(),
        "clips": arguments.clips,
        "frames": arguments.frames,
        "reference on two cores, frames/s": {"position": 264_000, "rotation": 98_000},
        "rows": rows,
    }
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


def measure(name: str, clips: Tensor, repeats: int) -> dict[str, object]:
    naive, batched = ROUTES[name]
    count = clips.shape[0] * clips.shape[1]
    with torch.inference_mode():
        difference = (naive(clips[:4]) - batched(clips[:4])).abs().max()
        timings = interleaved(
            {
                "naive": lambda: torch.cat([naive(clip[None]) for clip in clips[:4]]),
                "ours": lambda: batched(clips),
            },
            repeats=repeats,
        )
    naive_speed = 4 * clips.shape[1] / timings["naive"].median
    speed = count / timings["ours"].median
    per_frame = {
        "naive": min(timings["naive"].processor) / (4 * clips.shape[1]),
        "ours": min(timings["ours"].processor) / count,
    }
    return {
        "route": name,
        "dtype": str(clips.dtype).removeprefix("torch."),
        "naive, frames/s": round(naive_speed),
        "ours, frames/s": round(speed),
        "ours at best, frames/s": round(count / timings["ours"].best),
        "asked, frames/s": ASKED.get(name),
        "ratio": round(speed / naive_speed, 1),
        "ratio of processor time": round(per_frame["naive"] / per_frame["ours"], 1),
        "frames a second of processor time": {
            way: round(1 / seconds) for way, seconds in per_frame.items()
        },
        "largest difference": float(difference),
    }


def noisy_features(num_clips: int, num_frames: int) -> Tensor:
    """(B, T, 272) plausible features whose 6D numbers are not orthonormal, as a decoder gives them."""
    draws = torch.Generator().manual_seed(0)
    x = 0.1 * torch.randn(num_clips, num_frames, 272, generator=draws, dtype=torch.float64)
    turns = yaw_matrix(0.05 * torch.randn(num_clips, num_frames, generator=draws).double())
    x[..., ours.HEADING] = matrix_to_6d(turns) + 0.01 * x[..., ours.HEADING]
    x[..., ours.ROTATIONS] += matrix_to_6d(torch.eye(3)).repeat(22)
    return x


# The reference's way: one clip at a time, the heading by a loop over frames, last axes of three.


def naive_headings(features: Tensor) -> Tensor:
    """(T, 272) -> (T, 3, 3)."""
    changes = naive_matrix(features[:, ours.HEADING])
    product = [changes[0]]
    for change in changes[1:]:
        product.append(change @ product[-1])
    return torch.stack(product)


def naive_matrix(sixd: Tensor) -> Tensor:
    first, second = sixd[..., :3], sixd[..., 3:]
    b1 = F.normalize(first, dim=-1)
    b2 = F.normalize(second - (b1 * second).sum(-1, keepdim=True) * b1, dim=-1)
    return torch.stack((b1, b2, torch.linalg.cross(b1, b2)), dim=-2)


def naive_root(features: Tensor, unturn: Tensor) -> Tensor:
    velocity = torch.zeros(len(features), 3, dtype=features.dtype)
    velocity[:, 0], velocity[:, 2] = features[:, 0], features[:, 1]
    velocity[1:] = torch.matmul(unturn[:-1].transpose(1, 2), velocity[1:, :, None]).squeeze(-1)
    return velocity.cumsum(0)


def naive_joints(clips: Tensor) -> Tensor:
    made = []
    for clip in clips:
        unturn = naive_headings(clip)
        local = clip[:, ours.POSITIONS].view(-1, 22, 3)
        turned = torch.matmul(unturn.transpose(1, 2)[:, None], local[..., None]).squeeze(-1)
        root = naive_root(clip, unturn)
        turned[..., 0] += root[:, None, 0]
        turned[..., 2] += root[:, None, 2]
        made.append(turned)
    return torch.stack(made)


def naive_rotations(clips: Tensor) -> Tensor:
    made = []
    for clip in clips:
        unturn = naive_headings(clip)
        rotations = naive_matrix(clip[:, ours.ROTATIONS].view(-1, 22, 6))
        rotations[:, 0] = unturn.transpose(1, 2) @ rotations[:, 0]
        naive_root(clip, unturn)
        made.append(rotations)
    return torch.stack(made)


def naive_joints_of_rotations(clips: Tensor) -> Tensor:
    made = []
    for clip, rotations in zip(clips, naive_rotations(clips), strict=True):
        root = naive_root(clip, naive_headings(clip))
        root[:, 1] = clip[:, ours.POSITIONS.start + 1]
        made.append(adult_skeleton().forward_kinematics(rotations, root)[0])
    return torch.stack(made)


Route = Callable[[Tensor], Tensor]
ROUTES: dict[str, tuple[Route, Route]] = {
    "position route, joints": (naive_joints, ours.to_joints),
    "rotation route, rotations": (naive_rotations, lambda clips: ours.to_rotations(clips)[0]),
    "rotation route, joints": (naive_joints_of_rotations, ours.to_joints_by_rotations),
}


if __name__ == "__main__":
    main()
