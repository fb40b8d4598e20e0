"""Statistics of ratings: golden values, and simulations whose truth is planted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from motionmill.evaluation.ratings import (
    CRITERIA,
    Score,
    Vote,
    bradley_terry,
    krippendorff_alpha,
    mean_scores,
    outcomes,
    score_table,
    vote_table,
)

SYSTEMS = ("a", "b", "c", "d")
TRUTH = np.array([0.9, 0.2, -0.3, -0.8])


def simulate(seed: int, *, prompts: int = 60, ties: float = 0.5) -> list[Vote]:
    """Votes on all pairs of each prompt by the model of Davidson."""
    draw = np.random.default_rng(seed)
    votes = []
    for prompt in range(prompts):
        for i in range(4):
            for j in range(i + 1, 4):
                weights = np.array(
                    [
                        math.exp(TRUTH[i]),
                        math.exp(TRUTH[j]),
                        ties * math.exp((TRUTH[i] + TRUTH[j]) / 2),
                    ]
                )
                outcome = draw.choice(3, p=weights / weights.sum())
                winner = (SYSTEMS[i], SYSTEMS[j], None)[outcome]
                first, second = draw.permutation([SYSTEMS[i], SYSTEMS[j]])
                votes.append(Vote("r", f"p{prompt}", CRITERIA[0], str(first), str(second), winner))
    return votes


def test_abilities_recover_the_order_and_cover_the_truth() -> None:
    truth = TRUTH - TRUTH.mean()
    covered, ordered = [], 0
    for seed in range(500):
        found = bradley_terry(simulate(seed))
        assert found.systems == SYSTEMS
        estimates = [found.estimate(name) for name in SYSTEMS]
        covered += [e.low <= t <= e.high for e, t in zip(estimates, truth, strict=True)]
        ordered += list(found.values) == sorted(found.values, reverse=True)
    assert 0.93 <= sum(covered) / len(covered) <= 0.97
    assert ordered > 480


def test_votes_without_ties_and_a_system_that_always_wins() -> None:
    votes = [Vote("r", f"p{k}", CRITERIA[0], "a", "b", "a") for k in range(30)]
    found = bradley_terry(votes)
    assert found.ties == -math.inf
    difference = found.difference("a", "b")
    assert 3 < difference.value < 20
    half = [Vote("r", f"p{k}", CRITERIA[0], "a", "b", "ab"[k % 2]) for k in range(30)]
    assert bradley_terry(half).difference("a", "b").value == pytest.approx(0.0, abs=1e-9)
    quarter = [Vote("r", f"p{k}", CRITERIA[0], "a", "b", "aaab"[k % 4]) for k in range(400)]
    assert bradley_terry(quarter).difference("a", "b").value == pytest.approx(math.log(3), rel=0.02)


def test_unconnected_systems_are_named() -> None:
    votes = [
        Vote("r", "p", CRITERIA[0], "a", "b", "a"),
        Vote("r", "p", CRITERIA[0], "c", "d", "c"),
    ]
    with pytest.raises(ValueError, match="no votes connect"):
        bradley_terry(votes)
    with pytest.raises(ValueError, match="no votes yet"):
        bradley_terry([])


def test_agreement_of_the_published_example() -> None:
    """Four observers, twelve units, missing values: Krippendorff's own example."""
    nan = math.nan
    ratings = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
            [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
        ]
    )
    assert krippendorff_alpha(ratings, "nominal") == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(ratings, "ordinal") == pytest.approx(0.815, abs=5e-4)
    assert krippendorff_alpha(ratings, "interval") == pytest.approx(0.849, abs=5e-4)
    assert krippendorff_alpha(ratings[:1]) is None
    assert krippendorff_alpha(np.ones((3, 4))) is None


def test_agreement_of_guessing_is_none() -> None:
    ratings = np.random.default_rng(0).integers(1, 5, size=(4, 2000)).astype(np.float64)
    assert krippendorff_alpha(ratings) == pytest.approx(0.0, abs=0.03)


def test_intervals_of_means_count_prompts_not_ratings() -> None:
    """Ten raters who say the same of a prompt tell no more than one does."""
    draw = np.random.default_rng(0)
    values = {f"p{k}": int(draw.integers(1, 5)) for k in range(40)}

    def scores(raters: int) -> list[Score]:
        return [
            Score(f"r{rater}", prompt, CRITERIA[0], "a", value)
            for prompt, value in values.items()
            for rater in range(raters)
        ]

    one, ten = (mean_scores(scores(count))["a", CRITERIA[0]] for count in (1, 10))
    assert one == pytest.approx(ten)
    assert one.value == pytest.approx(np.mean(list(values.values())))
    assert one.low < one.value < one.high


def test_wins_by_category() -> None:
    votes = [
        Vote("r", "p1", CRITERIA[0], "a", "b", "a"),
        Vote("r", "p2", CRITERIA[0], "b", "a", "a"),
        Vote("r", "p3", CRITERIA[0], "b", "a", None),
        Vote("r", "p3", CRITERIA[1], "b", "a", "b"),
    ]
    found = outcomes(votes, {"p1": "work", "p2": "sports", "p3": "work"})
    assert found["a", CRITERIA[0], "all"] == (2, 1, 0)
    assert found["b", CRITERIA[0], "all"] == (0, 1, 2)
    assert found["a", CRITERIA[0], "work"] == (1, 1, 0)
    assert found["a", CRITERIA[1], "all"] == (0, 0, 1)


def test_tables_of_raters() -> None:
    scores = [
        Score("x", "p", CRITERIA[0], "a", 3),
        Score("y", "p", CRITERIA[0], "a", 4),
        Score("y", "p", CRITERIA[0], "b", 1),
    ]
    assert np.array_equal(score_table(scores, CRITERIA[0]), [[3, np.nan], [4, 1]], equal_nan=True)
    votes = [
        Vote("x", "p", CRITERIA[0], "a", "b", "b"),
        Vote("y", "p", CRITERIA[0], "b", "a", "b"),
        Vote("y", "q", CRITERIA[0], "b", "a", None),
    ]
    assert np.array_equal(vote_table(votes, CRITERIA[0]), [[-1, np.nan], [-1, 0]], equal_nan=True)
