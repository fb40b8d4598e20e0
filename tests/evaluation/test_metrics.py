"""The metrics give the official values, and what they should where the official code does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from motionmill.evaluation import metrics


@pytest.fixture(scope="module")
def recorded(shared: Path) -> Any:
    return torch.load(shared / "fixtures" / "metrics.pt", weights_only=True)


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_official_fid(recorded: Any) -> None:
    real, made = recorded["motion_gt"], recorded["motion_gen"]
    assert metrics.frechet_distance(real, made) == pytest.approx(recorded["fid"], rel=1e-6)
    assert metrics.frechet_distance(real, real) == pytest.approx(0.0, abs=1e-8)
    few = metrics.frechet_distance(real, made[:64])
    assert few == pytest.approx(recorded["fid_rank_deficient_64"], rel=1e-2)


@pytest.mark.parametrize("kind", ["gt", "gen"])
def test_official_retrieval(recorded: Any, kind: str) -> None:
    found = metrics.retrieval(recorded["text"], recorded[f"motion_{kind}"])
    assert found.r_precision == pytest.approx(recorded[f"r_precision_{kind}"])
    assert found.mm_distance == pytest.approx(recorded[f"mm_dist_{kind}"], rel=1e-6)


def test_official_diversity_and_multimodality(recorded: Any) -> None:
    first, second = recorded["diversity_idx"]
    made = recorded["motion_gt"]
    value = metrics.paired_distance(made[first], made[second])
    other = recorded["motion_gen"]
    values = (value, metrics.paired_distance(other[first], other[second]))
    assert any(v == pytest.approx(recorded["diversity_300"], rel=1e-6) for v in values)
    grouped = other[:600].reshape(20, 30, 128)
    first, second = recorded["multimodality_idx"]
    value = metrics.paired_distance(grouped[:, first], grouped[:, second])
    assert value == pytest.approx(recorded["multimodality_10"], rel=1e-6)


def test_official_joint_errors(recorded: Any) -> None:
    real, made = recorded["mpjpe"]["gt"], recorded["mpjpe"]["pred"]
    expected = float(recorded["mpjpe"]["mpjpe_per_frame"].mean())
    assert metrics.mpjpe(made, real) == pytest.approx(expected, rel=1e-5)
    found = metrics.acceleration(made)
    assert torch.allclose(found.mean(-1).float(), recorded["accel"]["pred_mean"], atol=1e-6)
    assert torch.allclose(found.amax(-1).float(), recorded["accel"]["pred_max"], atol=1e-6)
    calm = metrics.acceleration(real)
    assert torch.allclose(calm.mean(-1).float(), recorded["accel"]["gt_mean"], atol=1e-6)


def test_official_code_use(recorded: Any) -> None:
    expected = recorded["perplexity"]
    found = metrics.code_use(expected["idx"], expected["codebook_size"])
    assert found.perplexity == pytest.approx(float(expected["value"][0]), rel=1e-4)
    assert found.used == pytest.approx(float(expected["value"][1]), rel=1e-5)


def test_fid_of_sets_with_known_answer() -> None:
    """Two Gaussians with diagonal covariances: |mu|^2 + sum (s1 - s2)^2, here made exact by whitening the samples."""
    samples = torch.randn(400, 8, generator=draw(), dtype=torch.float64)
    samples = samples - samples.mean(0)
    covariance = samples.T @ samples / 399
    white = torch.linalg.solve_triangular(
        torch.linalg.cholesky(covariance), samples.T, upper=False
    ).T
    spread = torch.linspace(0.5, 2, 8, dtype=torch.float64)
    expected = 8 * 0.25 + float((spread - 1).square().sum())
    assert metrics.frechet_distance(white, white * spread + 0.5) == pytest.approx(expected)


def test_fid_of_constant_numbers_and_few_samples_is_exact() -> None:
    """Rank-deficient sets: the answer in the subspace that varies is the answer."""
    part = torch.randn(50, 6, generator=draw(1), dtype=torch.float64)
    other = torch.randn(40, 6, generator=draw(2), dtype=torch.float64)
    wide = [torch.cat((x, torch.ones(len(x), 94, dtype=x.dtype)), dim=1) for x in (part, other)]
    turn = torch.linalg.qr(torch.randn(100, 100, generator=draw(3), dtype=torch.float64))[0]
    assert metrics.frechet_distance(wide[0] @ turn, wide[1] @ turn) == pytest.approx(
        metrics.frechet_distance(part, other), rel=1e-9
    )
    many = [x.repeat(4, 1) for x in wide]
    assert metrics.frechet_distance(many[0] @ turn, many[1] @ turn) == pytest.approx(
        metrics.frechet_distance(part.repeat(4, 1), other.repeat(4, 1)), rel=1e-5
    )


def test_near_identical_rows_give_numbers() -> None:
    texts = torch.randn(64, 16, generator=draw()) * 100
    found = metrics.retrieval(texts, texts + 1e-6)
    assert found.r_precision == (1.0, 1.0, 1.0)
    assert 0 <= found.mm_distance < 1e-3


def test_a_collapsed_model_gets_chance() -> None:
    texts = torch.randn(64, 16, generator=draw())
    found = metrics.retrieval(texts, torch.ones(64, 16))
    assert found.r_precision == pytest.approx((1 / 32, 2 / 32, 3 / 32))
    assert metrics.diversity(torch.ones(64, 16), generator=draw()) == 0.0


def test_pools_follow_the_seed_and_the_last_incomplete_one_is_dropped() -> None:
    texts = torch.randn(100, 16, generator=draw())
    motions = texts + 2 * torch.randn(100, 16, generator=draw(1))
    runs = [metrics.retrieval(texts, motions, generator=draw(seed)) for seed in (3, 3, 4)]
    assert runs[0] == runs[1]
    assert runs[0].r_precision != runs[2].r_precision
    assert runs[0].num_samples == 96


def test_diversity_and_multimodality_grow_with_spread() -> None:
    base = torch.randn(40, 12, 16, generator=draw())
    values = [
        (
            metrics.diversity((scale * base).flatten(0, 1), generator=draw(5)),
            metrics.multimodality(scale * base, generator=draw(5)),
        )
        for scale in (0.5, 1.0, 2.0)
    ]
    assert values == sorted(values)
    assert values[1][0] == pytest.approx(2 * values[0][0])


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="do not fill one pool of 32"):
        metrics.retrieval(torch.ones(20, 4), torch.ones(20, 4))
    with pytest.raises(ValueError, match="at least 2 embeddings"):
        metrics.frechet_distance(torch.ones(1, 4), torch.ones(9, 4))
    with pytest.raises(ValueError, match="the same evaluator"):
        metrics.frechet_distance(torch.ones(9, 5), torch.ones(9, 4))
    with pytest.raises(ValueError, match="not finite"):
        metrics.frechet_distance(torch.full((9, 4), torch.nan), torch.ones(9, 4))
    with pytest.raises(ValueError, match="expected the same"):
        metrics.mpjpe(torch.ones(9, 22, 3), torch.ones(8, 22, 3))
