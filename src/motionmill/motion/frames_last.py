"""Rotations with the frames as the last axis, where all that is done to each frame is done to long rows at once.

Over last axes of three, products and sums of tensors are several times slower. Whoever has many frames takes some of
them at a time (`parts`), turns them over, computes, and turns the result back.

Shapes: N frames, of one clip or of many; (..., 3, N) vectors; (..., 3, 3, N) matrices, row and column; (..., 6, N) 6D.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

_PART_FRAMES = 2048


def parts(frames: Tensor) -> Iterator[slice]:
    """All of (N, ...) frames; on a CPU so many at a time that what is made of their 22 joints stays in its cache."""
    size = _PART_FRAMES if frames.device.type == "cpu" else max(1, len(frames))
    for start in range(0, len(frames), size):
        yield slice(start, start + size)


def orthonormal_rows(sixd: Tensor) -> Tensor:
    """(..., 6, N) -> (..., 3, 3, N) by Gram-Schmidt: two vectors become rows, their cross product is the third."""
    first, second = sixd[..., :3, :], sixd[..., 3:, :]
    first = first / _length(first)
    second = torch.addcmul(second, _dot(first, second), first, value=-1.0)
    second = second / _length(second)
    return torch.stack((first, second, _cross(first, second)), dim=-3)


def product(left: Tensor, right: Tensor) -> Tensor:
    """Matrices (..., 3, 3, N) times matrices (..., 3, 3, N)."""
    made = left[..., 0:1, :] * right[..., 0:1, :, :]
    made = made.addcmul_(left[..., 1:2, :], right[..., 1:2, :, :])
    return made.addcmul_(left[..., 2:3, :], right[..., 2:3, :, :])


def running_product(steps: Tensor) -> Tensor:
    """(T, 3, 3, N) -> (T, 3, 3, N), whose entry t is the product of the steps t, ..., 1, 0.

    A scan of log2(T) levels that multiplies 2 T matrices in all: the running product of pairs of steps has the odd
    entries, and an even entry is one step further than the odd one before it.
    """
    if len(steps) < 2:
        return steps
    odd = running_product(product(steps[1::2], steps[:-1:2]))
    made = steps.clone()
    made[1::2] = odd
    made[2::2] = product(steps[2::2], odd[: (len(steps) - 1) // 2])
    return made


def placed(matrices: Tensor, vectors: Iterable[Tensor], origins: Tensor) -> Tensor:
    """origin + matrix * vector.

    Args:
        matrices: (..., 3, 3, N).
        vectors: the coordinates x, y, z, each of a shape that (..., 3, N) stretches to.
        origins: (..., 3, N).
    """
    x, y, z = vectors
    made = torch.addcmul(origins, matrices[..., 0, :], x)
    return made.addcmul_(matrices[..., 1, :], y).addcmul_(matrices[..., 2, :], z)


def _dot(first: Tensor, second: Tensor) -> Tensor:
    """(..., 3, N) and (..., 3, N) -> (..., 1, N)."""
    (a, b, c), (x, y, z) = first.unbind(-2), second.unbind(-2)
    return (a * x).addcmul_(b, y).addcmul_(c, z).unsqueeze(-2)


def _length(vectors: Tensor) -> Tensor:
    """(..., 3, N) -> (..., 1, N), at least 1e-12."""
    return _dot(vectors, vectors).clamp(min=1e-24).sqrt()


def _cross(first: Tensor, second: Tensor) -> Tensor:
    """(..., 3, N) and (..., 3, N) -> (..., 3, N)."""
    (a, b, c), (x, y, z) = first.unbind(-2), second.unbind(-2)
    products = ((b * z, c, y), (c * x, a, z), (a * y, b, x))
    return torch.stack([made.addcmul_(p, q, value=-1.0) for made, p, q in products], dim=-2)
