"""Embeddings, joints or codes -> the field's automatic metrics, as pure functions.

Shapes: N samples, E embedding, P pool size, T frames, J joints. Distances are computed in float64 from differences, not
from the expanded square, which gives NaN for rows that are nearly the same. Definitions: the MotionMillion evaluation
code (its values are reproduced where its `legacy` protocol is asked for) and the protocol in docs/evaluation.md.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """FID of two sets of embeddings: |difference of means|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)).

    The trace of the square root is the nuclear norm of F1 F2^T for any factors with F^T F = S. No root of a nearly
    singular product is taken, so sets with fewer samples than numbers, or with constant numbers, come out right.

    Args:
        first: (N1, E).
        second: (N2, E).

    Raises:
        ValueError: fewer than two samples in a set, or sets of different width, or a number that is not finite.
    """
    for name, part in (("first", first), ("second", second)):
        if part.ndim != 2 or len(part) < 2:
            raise ValueError(
                f"FID, {name} set: shape {tuple(part.shape)}; expected at least 2 embeddings (N, E)"
            )
        if not bool(torch.isfinite(part).all()):
            raise ValueError(f"FID, {name} set: has numbers that are not finite")
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"FID: embeddings of {first.shape[1]} and of {second.shape[1]} numbers; expected the same evaluator"
        )
    mean, one = _centred(first)
    other_mean, other = _centred(second)
    if max(len(first), len(second)) <= first.shape[1]:
        one, other = one / (len(one) - 1) ** 0.5, other / (len(other) - 1) ** 0.5
        traces = one.square().sum() + other.square().sum()
        shared = torch.linalg.svdvals(one @ other.T).sum()
    else:
        one, other = _covariance(one), _covariance(other)
        traces = one.trace() + other.trace()
        powers, axes = torch.linalg.eigh(one)
        root = axes * powers.clamp(min=0).sqrt()
        shared = torch.linalg.eigvalsh(root.T @ other @ root).clamp(min=0).sqrt().sum()
    return max(0.0, float((mean - other_mean).square().sum() + traces - 2 * shared))


def _centred(embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """(N, E) -> the mean (E) and what is left without it (N, E), float64."""
    values = embeddings.to(torch.float64, copy=True)
    mean = values.mean(dim=0)
    return mean, values.sub_(mean)


def _covariance(centred: Tensor) -> Tensor:
    """(N, E) -> (E, E), unbiased; BLAS computes one half of it only."""
    from scipy.linalg.blas import dsyrk

    upper = torch.from_numpy(dsyrk(1.0 / (len(centred) - 1), centred.numpy().T))
    return upper + upper.triu(1).T


class Retrieval(NamedTuple):
    """R@1..3 (shares, 0..1), mean distance of a text to its own motion, and over how many samples."""

    r_precision: tuple[float, float, float]
    mm_distance: float
    num_samples: int


def retrieval(
    texts: Tensor,
    motions: Tensor,
    *,
    pool_size: int = 32,
    generator: torch.Generator | None = None,
) -> Retrieval:
    """How often a text's own motion is among the 1, 2 or 3 nearest of its pool, and how far from it on average.

    Samples that do not fill the last pool are left out of R-precision, as in the reference. Motions at the same
    distance share their ranks evenly: a collapsed model gets chance, not luck or a perfect score.

    Args:
        texts: (N, E), row i belongs to row i of `motions`.
        motions: (N, E).
        pool_size: motions a text is compared with, its own included.
        generator: draws the pools; without one they are consecutive rows, as in the reference.

    Raises:
        ValueError: different shapes, or fewer samples than one pool.
    """
    _same_shape("retrieval", texts, motions)
    if len(texts) < pool_size:
        raise ValueError(
            f"retrieval: {len(texts)} samples do not fill one pool of {pool_size}; use more samples or smaller pools"
        )
    order = torch.arange(len(texts))
    if generator is not None:
        order = torch.randperm(len(texts), generator=generator)
    pools = order[: len(order) // pool_size * pool_size].view(-1, pool_size)
    distances = _distances(texts[pools], motions[pools])
    own = distances.diagonal(dim1=1, dim2=2).unsqueeze(-1)
    nearer = (distances < own).sum(-1)
    as_near = (distances == own).sum(-1)
    hits = [((rank - nearer) / as_near).clamp(0, 1).mean() for rank in (1, 2, 3)]
    first, second, third = (float(hit) for hit in hits)
    return Retrieval(
        (first, second, third), float(_row_distances(texts, motions).mean()), pools.numel()
    )


def diversity(embeddings: Tensor, *, num_pairs: int = 300, generator: torch.Generator) -> float:
    """Mean distance between two random draws of the motions, each without replacement.

    Args:
        embeddings: (N, E).
        num_pairs: how many pairs; as many as there are samples where there are fewer.
        generator: draws both.

    Raises:
        ValueError: fewer than two samples.
    """
    if len(embeddings) < 2:
        raise ValueError(f"diversity: {len(embeddings)} motions; expected at least 2")
    count = min(num_pairs, len(embeddings))
    first, second = (torch.randperm(len(embeddings), generator=generator)[:count] for _ in range(2))
    return paired_distance(embeddings[first], embeddings[second])


def multimodality(embeddings: Tensor, *, num_pairs: int = 10, generator: torch.Generator) -> float:
    """Mean distance between motions of the same text, drawn as in `diversity` with the same places for all texts.

    Args:
        embeddings: (N, R, E), R motions for each of N texts.
        num_pairs: how many pairs a text; at most R are there.
        generator: draws both.

    Raises:
        ValueError: fewer than two motions a text.
    """
    if embeddings.ndim != 3 or embeddings.shape[1] < 2:
        raise ValueError(
            f"multimodality: shape {tuple(embeddings.shape)}; expected (texts, 2 or more motions, E)"
        )
    count = min(num_pairs, embeddings.shape[1])
    first, second = (
        torch.randperm(embeddings.shape[1], generator=generator)[:count] for _ in range(2)
    )
    return paired_distance(embeddings[:, first], embeddings[:, second])


def paired_distance(first: Tensor, second: Tensor) -> float:
    """(..., E) and (..., E) -> mean distance of the rows."""
    return float(_row_distances(first, second).mean())


def mpjpe(made: Tensor, real: Tensor, *, root_aligned: bool = True) -> float:
    """Mean per-joint position error, metres.

    Args:
        made: (T, J, 3) joints, the root first.
        real: (T, J, 3).
        root_aligned: each frame's root is moved to the other's, as in the reference; False is the global error.
    """
    _same_shape("MPJPE", made, real)
    if root_aligned:
        made, real = made - made[:, :1], real - real[:, :1]
    return float((made.double() - real.double()).norm(dim=-1).mean())


def acceleration(joints: Tensor) -> Tensor:
    """(T, J, 3) -> (T - 2, J) norm of the second difference of root-aligned joints, metres a frame^2."""
    aligned = joints.double() - joints[:, :1].double()
    return aligned.diff(n=2, dim=0).norm(dim=-1)


def acceleration_error(made: Tensor, real: Tensor, fps: float) -> float:
    """Mean difference of the joints' accelerations, root-aligned, m/s^2; 0 for fewer than three frames."""
    _same_shape("acceleration error", made, real)
    difference = (made.double() - made[:, :1].double()) - (real.double() - real[:, :1].double())
    if len(difference) < 3:
        return 0.0
    return float(difference.diff(n=2, dim=0).norm(dim=-1).mean()) * fps**2


class CodeUse(NamedTuple):
    """Perplexity of the codes, and the share of the codebook that occurs at all."""

    perplexity: float
    used: float


def code_use(codes: Tensor, num_codes: int) -> CodeUse:
    """How evenly a codebook is used; codes of any shape."""
    counts = torch.bincount(codes.flatten().long(), minlength=num_codes).double()
    shares = counts / counts.sum().clamp(min=1)
    perplexity = float((-(shares * (shares + 1e-7).log()).sum()).exp())
    return CodeUse(perplexity, float((counts > 0).double().mean()))


def _same_shape(name: str, first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape:
        raise ValueError(
            f"{name}: shapes {tuple(first.shape)} and {tuple(second.shape)}; expected the same"
        )


def _distances(first: Tensor, second: Tensor) -> Tensor:
    """(..., P, E) and (..., P, E) -> (..., P, P), float64."""
    return torch.cdist(first.double(), second.double(), compute_mode="donot_use_mm_for_euclid_dist")


def _row_distances(first: Tensor, second: Tensor) -> Tensor:
    return (first.double() - second.double()).norm(dim=-1)
