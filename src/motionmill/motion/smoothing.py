"""Values over time -> smoother ones, without delay: a low-pass, running means and maxima, the smoothing of a motion.

Shapes: T frames, J joints, G groups of C channels that are filtered alike.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_6d, matrix_to_6d

Kernel = tuple[tuple[float, float], ...]

_CHUNK: Final = 4096  # frames that are smoothed at once, so that long motions need no more memory
_HALO: Final = 48  # more than the filters reach, frames
_SOME: Final = 0.9  # ratio of differences from which a motion is smoothed a little
_MUCH: Final = 1.4  # and from which much
_BLOCK: Final = 32  # frames that are filtered as one product
_WIDTHS: Final = (0.9, 2.3, 6.0)  # standard deviations of the three filters, frames
_RADIUS: Final = 24  # at which they are cut off, frames
_AROUND: Final = 7  # frames on both sides over which energies are averaged
_TOLERANCE: Final = 3.0  # slow changes up to so many times what noise explains are noise
_MOST_ROOT: Final = 0.02  # most by which the root is moved, metres
_MOST_ROTATION: Final = 0.25  # most by which a joint's rotation is changed, as a length of two axes


def smooth(motion: Motion, keep: Tensor) -> Motion:
    """Low-pass of the root path and of each joint's rotations, without delay, only where they tremble.

    What trembles shows in the ratio of third to second differences, which knows no scale: about 1.8 for noise from
    frame to frame and 1.7 for a random walk, under 1 for what a body does. The higher it is, the wider the filter; the
    widest takes only what is no more than noise of that strength explains, so that somebody who hardly moves does not
    tremble and a run is not blunted.

    Args:
        motion: any.
        keep: (T,) bool, frames that stay as they are.
    """
    if len(motion) < 8:
        return motion
    share = mean_around((~keep[:, None]).to(motion.root), 8)[..., None]
    root, rotations = torch.empty_like(motion.root), torch.empty_like(motion.rotations)
    for start in range(0, len(motion), _CHUNK):
        first = max(0, start - _HALO)
        part = slice(first, start + _CHUNK + _HALO)
        inner = slice(start - first, start - first + _CHUNK)
        place = slice(start, start + _CHUNK)
        # Two columns of each matrix: turning the world turns them, so that a heading changes nothing.
        columns = matrix_to_6d(motion.rotations[part].mT)
        values = torch.cat((F.pad(motion.root[part, None], (0, 3)), columns), dim=1)
        steady = (values + share[part] * (_steady(values) - values))[inner]
        root[place] = steady[:, 0, :3]
        rotations[place] = matrix_from_6d(steady[:, 1:]).mT
    return replace(motion, root=root, rotations=rotations)


def low_pass(values: Tensor, sigma: float) -> Tensor:
    """Gaussian filter over the first axis; the ends are continued by reflection through the end point."""
    radius = min(max(1, round(4 * sigma)), len(values) - 1)
    return _filtered(values, _bands((((1.0, sigma),),), radius).to(values), radius)[0]


def ramp(values: Tensor, corner: float) -> Tensor:
    """max(values, 0) with a round corner: 0 up to -corner, the values themselves from +corner on."""
    inside = (values + corner).clamp(0, 2 * corner)
    return inside**2 / (4 * corner) + (values - corner).clamp(min=0)


def mean_around(values: Tensor, radius: int) -> Tensor:
    """(T, G) mean over the frames at most `radius` away, fewer at the ends."""
    width = 2 * radius + 1
    return F.avg_pool1d(values.T[None], width, 1, radius, count_include_pad=False)[0].T


def highest(values: Tensor, radius: int) -> Tensor:
    """(T, G) maximum over the frames at most `radius` away."""
    return F.max_pool1d(values.T[None], 2 * radius + 1, 1, radius)[0].T


@functools.lru_cache(maxsize=256)
def _bands(kernels: tuple[Kernel, ...], radius: int) -> Tensor:
    """(K * block, block + 2 radius) float64 matrix that filters a block of frames by K kernels.

    Args:
        kernels: each a sum of Gaussians, given by weight and standard deviation in frames.
        radius: at which they are cut off, frames.
    """
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    lines = []
    for kernel in kernels:
        bells = [(weight, torch.exp(-0.5 * (offsets / sigma) ** 2)) for weight, sigma in kernel]
        line = torch.stack([weight * bell / bell.sum() for weight, bell in bells]).sum(dim=0)
        # A row, repeated with one zero too many, moves on by one from line to line.
        lines.append(F.pad(line, (0, _BLOCK)).repeat(_BLOCK)[: _BLOCK * (_BLOCK + 2 * radius)])
    return torch.stack(lines).reshape(len(kernels) * _BLOCK, -1)


def _filtered(values: Tensor, bands: Tensor, radius: int) -> Tensor:
    """(T, ...) values through K kernels, given by `_bands` -> (K, T, ...).

    As products of blocks of frames with one banded matrix, which is several times faster than a convolution of so many
    channels in double precision.
    """
    count, frames = len(bands) // _BLOCK, len(values)
    blocks = -(-frames // _BLOCK)
    before = 2 * values[:1] - values[1 : radius + 1].flip(0)
    after = 2 * values[-1:] - values[-radius - 1 : -1].flip(0)
    rest = values.new_zeros((blocks * _BLOCK - frames, *values.shape[1:]))
    padded = torch.cat((before, values, after, rest)).flatten(1)
    windows = padded.unfold(0, _BLOCK + 2 * radius, _BLOCK).mT  # (blocks, window, channels)
    filtered = (bands @ windows).unflatten(1, (count, _BLOCK)).transpose(0, 1)
    return filtered.flatten(1, 2)[:, :frames].reshape(count, *values.shape)


def _steady(values: Tensor) -> Tensor:
    """(T, 1 + J, 6) -> the same: root and joints low-passed, by at most so much, where they look like noise."""
    if len(values) < 8:
        return values
    second = torch.diff(values, n=2, dim=0)
    third = mean_around((torch.diff(second, dim=0) ** 2).sum(-1), _AROUND)
    energy = mean_around((second**2).sum(-1), _AROUND)
    ratio = (third / ((energy[1:] + energy[:-1]) / 2).clamp(min=1e-18)).sqrt()  # (T - 3, 1 + J)
    ratio, third = _of_frames(ratio), _of_frames(third)
    radius = min(_RADIUS, len(values) - 1)
    bands = _bands(tuple(map(_kernel, _WIDTHS)), radius).to(values)
    narrow, wide, widest = _filtered(values, bands, radius)
    some = ((ratio - _SOME) / 0.3).clamp(0, 1)
    much = ((ratio - _MUCH) / 0.25).clamp(0, 1)
    slow = widest - wide
    strength = mean_around((slow**2).sum(-1), _AROUND)[..., None].clamp(min=1e-18)
    explained = (_TOLERANCE * _slow_share() * third / strength).clamp(0, 1)
    change = some * (narrow - values) + much * (wide - narrow + explained * slow)
    length = torch.linalg.vector_norm(change, dim=-1, keepdim=True).clamp(min=1e-12)
    most = values.new_full((values.shape[1], 1), _MOST_ROTATION)
    most[0] = _MOST_ROOT
    return values + change * (torch.minimum(length, most) / length)


def _of_frames(thirds: Tensor) -> Tensor:
    """(T - 3, G) of third differences, which stand between two frames -> (T, G, 1), the mean of those beside each."""
    padded = torch.cat((thirds[:1], thirds[:1], thirds, thirds[-1:], thirds[-1:]))
    return ((padded[1:] + padded[:-1]) / 2)[..., None]


def _kernel(sigma: float) -> Kernel:
    """A Gaussian twice, the second time of what the first took away, which keeps more of the low frequencies."""
    return (2.0, sigma), (-1.0, sigma * 2**0.5)


@functools.lru_cache(maxsize=1)
def _slow_share() -> float:
    """Energy of white noise between the two widest filters, over that of its third differences."""
    lines = _bands(tuple(map(_kernel, _WIDTHS[1:])), _RADIUS)[::_BLOCK]
    return float((lines[1] - lines[0]).square().sum()) / 20  # 1 + 9 + 9 + 1 of third differences
