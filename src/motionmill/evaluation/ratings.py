"""Votes and ratings of people -> means, wins, abilities and agreement, each with its interval.

Criteria and the two ways to rate are those of docs/evaluation.md: scores of 1 to 4 a motion, and blind votes between
two motions of one prompt. Shapes: S systems, V votes, U rated units, R raters.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

CRITERIA: Final = ("text alignment", "motion smoothness", "physical plausibility")
SCORES: Final = (1, 2, 3, 4)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Vote:
    """One blind comparison: which of two motions of a prompt is better; `winner` is None for a tie."""

    rater: str
    prompt: str
    criterion: str
    first: str
    second: str
    winner: str | None


@dataclass(frozen=True)
class Score:
    """One rating of a motion, 1 to 4."""

    rater: str
    prompt: str
    criterion: str
    system: str
    value: int


class Estimate(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


def mean_scores(
    scores: Iterable[Score], *, draws: int = 2000, seed: int = 0
) -> dict[tuple[str, str], Estimate]:
    """Mean score by system and criterion. Intervals by bootstrap over prompts, whose ratings belong together."""
    groups: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for score in scores:
        groups[score.system, score.criterion][score.prompt].append(score.value)
    return {
        key: _bootstrap([prompts[name] for name in sorted(prompts)], draws, seed)
        for key, prompts in sorted(groups.items())
    }


class Outcomes(NamedTuple):
    """How often a system won, tied and lost."""

    wins: int
    ties: int
    losses: int


def outcomes(
    votes: Iterable[Vote], categories: Mapping[str, str]
) -> dict[tuple[str, str, str], Outcomes]:
    """Wins, ties and losses by system, criterion and category of the prompt; "all" is every category."""
    counts: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for vote in votes:
        for system in (vote.first, vote.second):
            place = 1 if vote.winner is None else 0 if vote.winner == system else 2
            for category in ("all", categories.get(vote.prompt, "unknown")):
                counts[system, vote.criterion, category][place] += 1
    return {key: Outcomes(*value) for key, value in sorted(counts.items())}


@dataclass(frozen=True)
class Abilities:
    """Bradley-Terry abilities.

    Attributes:
        systems: (S,) names.
        values: (S,) log abilities, mean 0: a difference of d is a win in 1 / (1 + exp(-d)) of the votes without ties.
        covariance: (S, S).
        ties: log of how easily votes tie; -inf where none did.
    """

    systems: tuple[str, ...]
    values: Array
    covariance: Array
    ties: float

    def estimate(self, system: str) -> Estimate:
        """The ability with its 95 % interval."""
        place = self.systems.index(system)
        value, half = float(self.values[place]), 1.96 * float(self.covariance[place, place]) ** 0.5
        return Estimate(value, value - half, value + half)

    def difference(self, first: str, second: str) -> Estimate:
        """How far the first is above the second."""
        pick = np.zeros(len(self.systems))
        pick[self.systems.index(first)] += 1
        pick[self.systems.index(second)] -= 1
        value, half = float(pick @ self.values), 1.96 * float(pick @ self.covariance @ pick) ** 0.5
        return Estimate(value, value - half, value + half)


def bradley_terry(votes: Sequence[Vote]) -> Abilities:
    """Abilities of the systems by maximum likelihood, ties after Davidson (1970).

    A system wins over another in proportion to its exponential ability, and they tie in proportion to the geometric
    mean of both. Intervals come from the sandwich of the information, votes of one prompt counted together, since they
    are not independent. A faint pull to the middle (a variance of 100) keeps a system that always wins finite.

    Raises:
        ValueError: no votes, or systems that no chain of votes connects.
    """
    systems = tuple(sorted({name for vote in votes for name in (vote.first, vote.second)}))
    _check_connected(systems, votes)
    place = {name: index for index, name in enumerate(systems)}
    first = np.array([place[vote.first] for vote in votes])
    second = np.array([place[vote.second] for vote in votes])
    tied = np.array([vote.winner is None for vote in votes])
    won = np.array([vote.winner == vote.first for vote in votes])
    size = len(systems)
    with_ties = bool(tied.any())
    rows = np.arange(len(votes))

    def likelihood(parameters: Array) -> tuple[Array, Array]:
        """Gradient of each vote's log likelihood (V, S + 1), and the information, negative Hessian of their sum."""
        ability = parameters[:size]
        ties = parameters[size] if with_ties else -np.inf
        # Outcomes: the first wins, the second wins, a tie; their logits are linear in the parameters.
        features = np.zeros((3, len(votes), size + 1))
        features[0, rows, first] = features[1, rows, second] = 1.0
        features[2, rows, first] = features[2, rows, second] = 0.5
        features[2, :, size] = 1.0
        logits = features[:, :, :size] @ ability
        logits[2] += ties
        share = np.exp(logits - logits.max(axis=0))
        share /= share.sum(axis=0)
        outcome = np.where(tied, 2, np.where(won, 0, 1))
        mean = np.einsum("ov,ovp->vp", share, features)
        gradient = features[outcome, rows] - mean
        spread = np.einsum("ov,ovp,ovq->pq", share, features, features) - mean.T @ mean
        return gradient, spread

    parameters = np.zeros(size + 1)
    pull = np.full(size + 1, 0.01)
    free = size + 1 if with_ties else size
    for _ in range(100):
        gradient, information = likelihood(parameters)
        slope = gradient.sum(axis=0) - pull * parameters
        step = np.linalg.solve((information + np.diag(pull))[:free, :free], slope[:free])
        step *= min(1.0, 2.0 / max(1e-12, float(np.abs(step).max())))
        parameters[:free] += step
        if np.abs(step).max() < 1e-10:
            break
    gradient, information = likelihood(parameters)
    inverse = np.linalg.inv((information + np.diag(pull))[:free, :free])
    prompts = sorted({vote.prompt for vote in votes})
    at = {name: index for index, name in enumerate(prompts)}
    by_prompt = np.zeros((len(prompts), free))
    np.add.at(by_prompt, [at[vote.prompt] for vote in votes], gradient[:, :free])
    count = len(prompts)
    middle = by_prompt.T @ by_prompt * (count / max(1, count - 1))
    covariance = inverse @ middle @ inverse if count > 1 else inverse
    centre = np.eye(size) - 1.0 / size
    return Abilities(
        systems,
        centre @ parameters[:size],
        centre @ covariance[:size, :size] @ centre.T,
        float(parameters[size]) if with_ties else -np.inf,
    )


def krippendorff_alpha(
    ratings: Array, level: Literal["nominal", "ordinal", "interval"] = "ordinal"
) -> float | None:
    """Agreement of raters: 1 is perfect, 0 is chance; None where there is nothing to agree on.

    Args:
        ratings: (R, U), NaN where a rater has not rated a unit.
        level: how far apart two values are.

    Source: K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011.
    """
    known = ~np.isnan(ratings)
    values = np.unique(ratings[known])
    pairable = known.sum(axis=0) >= 2
    if len(values) < 2 or not pairable.any():
        return None
    counts = np.stack([(ratings[:, pairable] == value).sum(axis=0) for value in values], axis=1)
    totals = counts.sum(axis=1, keepdims=True)
    weighted = counts / (totals - 1)
    coincidence = counts.T @ weighted - np.diag(weighted.sum(axis=0))
    margin = coincidence.sum(axis=0)
    distance = _distances(values, margin, level)
    observed = float((coincidence * distance).sum())
    expected = float((np.outer(margin, margin) * distance).sum()) / (margin.sum() - 1)
    return None if expected == 0 else 1 - observed / expected


def score_table(scores: Sequence[Score], criterion: str) -> Array:
    """Scores of a criterion as (R, U) for `krippendorff_alpha`; a unit is a motion."""
    chosen = [score for score in scores if score.criterion == criterion]
    raters = {name: i for i, name in enumerate(sorted({score.rater for score in chosen}))}
    names = sorted({(score.system, score.prompt) for score in chosen})
    units = {name: i for i, name in enumerate(names)}
    table = np.full((len(raters), len(units)), np.nan)
    for score in chosen:
        table[raters[score.rater], units[score.system, score.prompt]] = score.value
    return table


def vote_table(votes: Sequence[Vote], criterion: str) -> Array:
    """Votes of a criterion as (R, U) for `krippendorff_alpha`, interval: -1, 0 or 1; a unit is a pair of motions."""
    chosen = [vote for vote in votes if vote.criterion == criterion]
    raters = {name: i for i, name in enumerate(sorted({vote.rater for vote in chosen}))}
    keys = sorted({(vote.prompt, *sorted((vote.first, vote.second))) for vote in chosen})
    units = {key: i for i, key in enumerate(keys)}
    table = np.full((len(raters), len(units)), np.nan)
    for vote in chosen:
        low, high = sorted((vote.first, vote.second))
        value = 0 if vote.winner is None else 1 if vote.winner == low else -1
        table[raters[vote.rater], units[vote.prompt, low, high]] = value
    return table


def _bootstrap(groups: Sequence[Sequence[int]], draws: int, seed: int) -> Estimate:
    sums = np.array([sum(group) for group in groups], dtype=np.float64)
    counts = np.array([len(group) for group in groups], dtype=np.float64)
    picks = np.random.default_rng(seed).integers(len(groups), size=(draws, len(groups)))
    means = sums[picks].sum(axis=1) / counts[picks].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(float(sums.sum() / counts.sum()), float(low), float(high))


def _check_connected(systems: Sequence[str], votes: Sequence[Vote]) -> None:
    if not votes:
        raise ValueError("no votes yet")
    group = {name: name for name in systems}
    for vote in votes:
        old, new = group[vote.second], group[vote.first]
        group = {name: new if part == old else part for name, part in group.items()}
    if len(set(group.values())) > 1:
        parts = Counter(group.values())
        raise ValueError(
            f"no votes connect {min(parts)!r} with {max(parts)!r}; rate pairs of these systems too"
        )


def _distances(values: Array, margin: Array, level: str) -> Array:
    """(C, C) squared distances of the values."""
    if level == "nominal":
        return 1.0 - np.eye(len(values))
    if level == "interval":
        return np.asarray((values[:, None] - values[None]) ** 2, dtype=np.float64)
    upto = np.cumsum(margin)
    middle = upto - margin / 2
    return np.asarray((middle[:, None] - middle[None]) ** 2, dtype=np.float64)
