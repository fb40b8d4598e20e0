"""Training task of the tokenizer: clips -> windows -> losses, and its report on held-out clips.

Shapes: B batch, T frames, F features (272), J = 22 joints.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionmill.data.order import EpochOrder
from motionmill.motion import features as feature
from motionmill.motion.features import Normalizer
from motionmill.motion.rotations import heading, matrix_from_6d, yaw_matrix
from motionmill.motion.skeleton import Skeleton, adult_skeleton
from motionmill.tokenizer.config import TokenizerConfig, TokenizerDataConfig, TokenizerLossConfig
from motionmill.tokenizer.model import Tokenizer
from motionmill.training.flops import forward_flops
from motionmill.training.task import Facts, Loss

_RANGE = 1.5
_FEET = (7, 8, 10, 11)
_FOOT_POSITIONS = [8 + 3 * joint + axis for joint in _FEET for axis in range(3)]
_FOOT_VELOCITIES = [index + 66 for index in _FOOT_POSITIONS]
_GEOMETRIC = frozenset({"path", "body", "contact"})
RECONSTRUCTION_LOSSES = _GEOMETRIC | {
    "all",
    "positions",
    "root",
    "feet",
    "position_change",
    "position_acceleration",
}
_COUNTED_IN = {
    "contact": "touching",
    "position_change": "changes",
    "position_acceleration": "accelerations",
    "range": "windows",
}
"""What the mean of a loss is taken over, where it is not frames."""


class Window(NamedTuple):
    """features (B, T, F), denormalised; mask (B, T) True where a frame is real; batch number; ids of the clips."""

    features: Tensor
    mask: Tensor
    number: int
    clips: tuple[str, ...] = ()


class TokenizerTask:
    """Reconstruction with extra weight where people look: root, feet, and the path that velocities add up to."""

    def __init__(
        self,
        model: TokenizerConfig,
        data: TokenizerDataConfig,
        losses: TokenizerLossConfig,
        train: Sequence[Tensor],
        held_out: Sequence[Tensor],
        *,
        normalizer: Normalizer,
        weights: Tensor | None = None,
        order: EpochOrder | None = None,
        name: Callable[[int], str] = lambda row: "",
        micro_batches: int = 1,
        start: Tokenizer | None = None,
        decoder_only: bool = False,
        seed: int = 0,
    ) -> None:
        """Begin with random weights, or where `start` stands.

        Args:
            train: features (T, 272) of each clip.
            held_out: features of the clips that `evaluate` reports on.
            weights: how often each training clip is drawn; by its length where none are given.
            order: goes through the clips in epochs instead of drawing them.
            name: the id of a training clip, for messages.
            micro_batches: how many batches make a step.
            decoder_only: the encoder stays as it is, and so do the tokens.
        """
        self.data, self.losses, self.normalizer, self.seed = data, losses, normalizer, seed
        self._name, self._micro_batches, self._order = name, micro_batches, order
        self._used = losses.used()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            tokenizer = start or Tokenizer(model)
        self.model: nn.Module = tokenizer
        self._clips, self._held_out = train, list(held_out)
        if weights is None and order is None:
            weights = torch.tensor([len(clip) for clip in train])
        self._weights = None if weights is None else weights.double()
        self._flops_per_frame = (
            forward_flops(tokenizer, torch.zeros(1, data.window_frames, feature.NUM_FEATURES))
            / data.window_frames
        )
        if start is None:
            tokenizer.calibrate(normalizer.normalize(self._batch(0).features))
        if decoder_only:
            tokenizer.encoder.requires_grad_(requires_grad=False)
            tokenizer.project_in.requires_grad_(requires_grad=False)

    def batches(self, cursor: int, stride: int = 1) -> Iterator[Window]:
        return map(self._batch, itertools.count(cursor, stride))

    def facts(self, batch: Window) -> Facts:
        frames = float(batch.mask.sum())
        counts = {
            "frames": frames,
            "touching": max(1.0, float(_touching(batch).sum())),
            "changes": max(1.0, float(batch.mask[:, 1:].sum())),
            "accelerations": max(1.0, float(batch.mask[:, 2:].sum())),
            "windows": float(len(batch.mask)),
        }
        return Facts(counts, batch.clips, self._flops_per_frame * batch.mask.numel())

    def loss(self, batch: Window) -> Loss:
        target = self.normalizer.normalize(batch.features)
        made = self.model(target)
        values = reconstruction_losses(
            made.features.float(), target, batch, self.normalizer, names=self._used
        )
        if "range" in self._used:
            # Where tanh saturates, codes die and no gradient brings them back: keep the vectors in its range.
            values["range"] = F.relu(made.vectors.float().abs() - _RANGE).square().mean()
        weights = self.losses.at_step(batch.number // self._micro_batches)
        parts: dict[str, Tensor] = {}
        for name, value in values.items():
            kind = _COUNTED_IN.get(name, "frames")
            weighed = weights[name] * value
            parts[kind] = parts[kind] + weighed if kind in parts else weighed
        return Loss(parts, {name: value.detach() for name, value in values.items()})

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        assert isinstance(model, Tokenizer)
        if not self._held_out:
            return {}
        report = reconstruction_report(model, self.normalizer, self._held_out)
        return report.as_dict()

    def render(self, model: nn.Module, count: int, path: Path) -> None:
        """Held-out clips, each above what the tokenizer makes of it."""
        from motionmill.formats.render import contact_sheet

        assert isinstance(model, Tokenizer)
        motions, titles = [], []
        unit = model.config.frames_per_token
        device = next(model.parameters()).device
        for number, clip in enumerate(self._held_out[:count]):
            real = clip[: len(clip) // unit * unit]
            tokens = model.encode(self.normalizer.normalize(real).unsqueeze(0).to(device))
            made = self.normalizer.denormalize(model.decode(tokens).cpu())[0]
            motions += [feature.to_motion(real.double()), feature.to_motion(made.double())]
            titles += [f"held out {number}", f"held out {number}, encoded and decoded"]
        if motions:
            contact_sheet(motions, titles, path)

    def _batch(self, step: int) -> Window:
        draw = torch.Generator().manual_seed((self.seed << 40) + step)
        size, window = self.data.batch_size, self.data.window_frames
        if self._weights is not None:
            rows = torch.multinomial(self._weights, size, replacement=True, generator=draw).tolist()
        else:
            assert self._order is not None
            rows = self._order.take(step * size, size)
        places = torch.rand(size, 2, generator=draw).tolist()
        features = torch.zeros(size, window, feature.NUM_FEATURES)
        mask = torch.zeros(size, window, dtype=torch.bool)
        names = tuple(map(self._name, rows))
        for index, (row, (place, coin)) in enumerate(zip(rows, places, strict=True)):
            clip = self._clips[row]
            start = int(place * (max(0, len(clip) - window) + 1))
            part = clip[start : start + window]
            if self.data.mirror and coin < 0.5:
                part = feature.mirror(part)
            features[index, : len(part)] = part
            features[index, len(part) :] = part[-1]
            mask[index, : len(part)] = True
        return Window(features, mask, step, names)


def reconstruction_losses(
    made: Tensor,
    target: Tensor,
    window: Window,
    normalizer: Normalizer,
    *,
    names: Collection[str] = RECONSTRUCTION_LOSSES,
) -> dict[str, Tensor]:
    """Named losses of decoded features.

    Args:
        made: (B, T, F) decoded, normalised.
        target: (B, T, F) real, normalised.
        names: those that are wanted; no others are computed.

    Returns:
        all, positions, root, feet: smooth L1 in normalised units, of all numbers, of 8:74, of 0:8, and of the feet's
        positions and velocities. path: distance of the integrated root path, metres. body: joints by forward
        kinematics of the decoded rotations against the real ones, decimetres. contact: horizontal error of the feet's
        displacement a frame where they touch the floor, centimetres. position_change, position_acceleration: smooth
        L1 of the first and second difference of 8:74 (the paper's optional terms).
    """
    weight = window.mask.float()
    share = weight / weight.sum()
    error = F.smooth_l1_loss(made, target, reduction="none")

    def mean(numbers: Tensor) -> Tensor:
        return (numbers.mean(-1) * share).sum()

    def mean_of_difference(order: int) -> Tensor:
        changes = [x[..., feature.POSITIONS].diff(n=order, dim=1) for x in (made, target)]
        change = F.smooth_l1_loss(changes[0], changes[1], reduction="none").mean(-1)
        known = weight[:, order:]
        return (change * known).sum() / known.sum().clamp(min=1.0)

    terms: dict[str, Callable[[], Tensor]] = {
        "all": lambda: mean(error),
        "positions": lambda: mean(error[..., feature.POSITIONS]),
        "root": lambda: mean(error[..., :8]),
        "feet": lambda: mean(error[..., _FOOT_POSITIONS]) + mean(error[..., _FOOT_VELOCITIES]),
        "position_change": lambda: mean_of_difference(1),
        "position_acceleration": lambda: mean_of_difference(2),
    }
    values = {name: term() for name, term in terms.items() if name in names}
    if not _GEOMETRIC.isdisjoint(names):
        geometric = _geometric_losses(_denormalize(made, normalizer), window, share)
        values.update({name: value for name, value in geometric.items() if name in names})
    return values


def _geometric_losses(decoded: Tensor, window: Window, share: Tensor) -> dict[str, Tensor]:
    """path, body and contact of (B, T, F) denormalised features; `share` (B, T) of a frame in a mean."""
    real = window.features
    yaw = [heading(matrix_from_6d(x[..., feature.HEADING])) for x in (decoded, real)]
    path = [_path(x, turn) for x, turn in zip((decoded, real), yaw, strict=True)]
    joints = _body_joints(decoded)
    truth = real[..., feature.POSITIONS].unflatten(-1, (22, 3))
    moved = _foot_displacement(joints, decoded, yaw[0])
    moved_truth = _foot_displacement(truth, real, yaw[1])
    touching = _touching(window)
    slip = (moved - moved_truth).norm(dim=-1)
    return {
        "path": ((path[0] - path[1]).norm(dim=-1) * share).sum(),
        "body": 10 * ((joints - truth).norm(dim=-1).mean(-1) * share).sum(),
        "contact": 100 * (slip * touching).sum() / touching.sum().clamp(min=1.0),
    }


@dataclass(frozen=True)
class ReconstructionReport:
    """Errors over held-out clips: millimetres, metres, share of codes in use."""

    mpjpe_mm: float
    mpjpe_rotation_mm: float
    path_end_error_m: float
    foot_slide_ratio: float
    code_use: float
    num_clips: int

    def as_dict(self) -> dict[str, float]:
        return {name: float(value) for name, value in vars(self).items()}


@torch.no_grad()
def reconstruction_report(
    model: Tokenizer, normalizer: Normalizer, clips: Sequence[Tensor], *, end_seconds: float = 4.0
) -> ReconstructionReport:
    """Encode and decode whole clips and measure what is lost.

    Returns:
        Root-aligned mean joint error by the position and by the rotation route, mean distance of the root's end point
        over the first `end_seconds` of clips that long, foot slide (evaluation protocol's weights, from the real
        clip) relative to the real clips', and the share of codes used at least once.
    """
    position, rotation, ends, slides, codes = [], [], [], [], []
    unit = model.config.frames_per_token
    device = next(model.parameters()).device
    for clip in clips:
        real = clip[: len(clip) // unit * unit]
        tokens = model.encode(normalizer.normalize(real).unsqueeze(0).to(device))
        made = normalizer.denormalize(model.decode(tokens).cpu())[0].float()
        codes.append(tokens.flatten().cpu())
        truth = real[:, feature.POSITIONS].unflatten(-1, (22, 3))
        local = made[:, feature.POSITIONS].unflatten(-1, (22, 3))
        position.append(_aligned_error(local, truth))
        body = _body_joints(made)
        rotation.append(_aligned_error(body, truth))
        yaw = [heading(matrix_from_6d(x[..., feature.HEADING])) for x in (made, real)]
        frames = round(end_seconds * feature.FEATURES_FPS)
        if len(real) >= frames:
            path = [_path(x, turn) for x, turn in zip((made, real), yaw, strict=True)]
            ends.append(float((path[0][frames - 1] - path[1][frames - 1]).norm()))
        height = truth[1:, _FEET, 1] - truth.new_tensor([0.055, 0.055, 0.0, 0.0])
        touching = (2 - 2 ** (height / 0.025)).clamp(0, 1)
        moved = _foot_displacement(body, made, yaw[0]).norm(dim=-1)
        moved_truth = _foot_displacement(truth, real, yaw[1]).norm(dim=-1)
        slides.append(torch.stack(((moved * touching).sum(), (moved_truth * touching).sum())))
    slide = torch.stack(slides).sum(0)
    return ReconstructionReport(
        mpjpe_mm=1000 * sum(position) / len(position),
        mpjpe_rotation_mm=1000 * sum(rotation) / len(rotation),
        path_end_error_m=sum(ends) / max(1, len(ends)),
        foot_slide_ratio=float(slide[0] / slide[1].clamp(min=1e-9)),
        code_use=len(torch.cat(codes).unique()) / model.config.num_codes,
        num_clips=len(clips),
    )


def _touching(window: Window) -> Tensor:
    """(B, T - 1, 4): how much each foot joint touches the floor in a frame, 0 to 1; padded frames 0."""
    truth = window.features[..., feature.POSITIONS].unflatten(-1, (22, 3))
    height = truth[:, 1:, _FEET, 1] - truth.new_tensor([0.055, 0.055, 0.0, 0.0])
    return (2 - 2 ** (height / 0.025)).clamp(0, 1) * window.mask[:, 1:, None].float()


def _denormalize(normalized: Tensor, normalizer: Normalizer) -> Tensor:
    return normalized * normalizer.std.to(normalized) + normalizer.mean.to(normalized)


def _path(features: Tensor, turn: Tensor) -> Tensor:
    """(..., T, F) and heading changes (..., T) -> (..., T, 3) root path on the floor, from the second frame on."""
    still = torch.zeros_like(turn[..., :1])
    unturn = yaw_matrix(torch.cat((still, turn[..., 1:]), dim=-1).cumsum(-1))
    path = feature.recover_root(features, unturn)
    return path - path[..., :1, :]


def _body_joints(features: Tensor, skeleton: Skeleton | None = None) -> Tensor:
    """Rotations -> (..., T, J, 3) joints without heading and root x, z: forward kinematics on our skeleton."""
    skeleton = skeleton or adult_skeleton()
    rotations = matrix_from_6d(features[..., feature.ROTATIONS].unflatten(-1, (22, 6)))
    height = features[..., feature.POSITIONS.start + 1]
    root = torch.stack((torch.zeros_like(height), height, torch.zeros_like(height)), dim=-1)
    return skeleton.joint_positions(rotations, root)


def _foot_displacement(joints: Tensor, features: Tensor, turn: Tensor) -> Tensor:
    """(..., T - 1, 4, 2): how far ankles and toes move over the floor in a frame, metres, previous heading frame."""
    feet = joints[..., _FEET, :]
    velocity = features[..., 1:, feature.ROOT_VELOCITY]
    back = yaw_matrix(-turn[..., 1:])
    turned = torch.einsum("...tij,...tkj->...tki", back, feet[..., 1:, :, :])
    moved = (turned - feet[..., :-1, :, :])[..., [0, 2]]
    return moved + velocity.unsqueeze(-2)


def _aligned_error(joints: Tensor, truth: Tensor) -> float:
    """Mean distance of root-aligned joints, metres."""
    return float(((joints - joints[:, :1]) - (truth - truth[:, :1])).norm(dim=-1).mean())
