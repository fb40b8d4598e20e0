"""Prompts -> tokens: text states, requests to the engine, and the best of several where the model has a ranker.

Shapes: N tokens, T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from motionmill.generator.choose import best_of, candidate_seed
from motionmill.generator.config import MAX_SECONDS, SamplingConfig
from motionmill.generator.encoding import CachedEncoder
from motionmill.generator.engine import MIN_TOKENS, Engine, Request, Stream
from motionmill.generator.release import Release

MAX_CANDIDATES = 64
HISTORY_SECONDS = 0.5  # that a prompt is told of what was before it: with more of it, the model goes on doing that
_TEXTS = 64  # encoded at once


class TextToTokens:
    """A release with its text encoder and an engine of its own."""

    def __init__(self, release: Release, encoder: CachedEncoder) -> None:
        self.release, self.encoder = release, encoder
        self.engine = Engine(release.generator)

    def __call__(
        self,
        prompts: Sequence[str],
        durations: Sequence[int],
        seeds: Sequence[int],
        sampling: SamplingConfig | None = None,
        *,
        history: Tensor | None = None,
        candidates: int | None = None,
    ) -> list[Tensor]:
        """Prompts -> (N,) new tokens each; a duration is a number of tokens, 0 where the motion ends by itself."""
        count = self.num_candidates(candidates)
        requests = self.requests(prompts, durations, seeds, sampling, history)
        drawn = self.engine.generate(
            [
                replace(request, seed=candidate_seed(request.seed, number))
                for request in requests
                for number in range(count)
            ]
        )
        return [
            self.best_of(prompt, request, drawn[place * count : (place + 1) * count], history)
            for place, (prompt, request) in enumerate(zip(prompts, requests, strict=True))
        ]

    def decode(self, tokens: Tensor) -> Tensor:
        """(N,) tokens -> (T, 272) features."""
        return self.release.codec.decode(tokens.to(self.engine.device)).cpu()

    def stream(
        self, prompt: str, duration: int, seed: int, sampling: SamplingConfig | None = None
    ) -> Stream:
        """The tokens of one prompt as they come."""
        return self.engine.submit(self.requests([prompt], [duration], [seed], sampling)[0])

    def count(self, seconds: float | None) -> int:
        """Seconds -> tokens; 0 where None leaves the length to the model.

        Raises:
            ValueError: no number, or no length that can be made.
        """
        if seconds is None:
            return 0
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise ValueError(f"seconds = {seconds!r}; expected a number")
        unit = self._seconds_per_token
        if not unit <= seconds <= MAX_SECONDS:  # not a number is neither
            raise ValueError(f"{seconds} seconds; expected {unit:.2f} to {MAX_SECONDS:g} seconds")
        return max(1, round(seconds / unit))

    def best_of(
        self, prompt: str, request: Request, drawn: Sequence[Tensor], before: Tensor | None = None
    ) -> Tensor:
        """Of the tokens of several motions those that fit the text best; `before` are the (K,) tokens they follow."""
        return best_of(
            self.release.codec, self.release.ranker, prompt, request.states, drawn, before=before
        )

    def requests(
        self,
        prompts: Sequence[str],
        durations: Sequence[int],
        seeds: Sequence[int],
        sampling: SamplingConfig | None,
        history: Tensor | None = None,
    ) -> list[Request]:
        """What the engine is asked for; a duration is a number of tokens, 0 where the motion ends by itself.

        Of the tokens before, `history`, the last half second is kept.
        """
        sampling = sampling or self.release.config.sampling
        if history is not None:
            history = history[-max(1, round(HISTORY_SECONDS / self._seconds_per_token)) :]
        least, most = self._bounds(sampling)
        texts = [*prompts, ""]
        parts = (texts[start : start + _TEXTS] for start in range(0, len(texts), _TEXTS))
        *states, nothing = (text for part in parts for text in self.encoder.encode(part))
        return [
            Request(
                text,
                sampling,
                seed=seed,
                duration=duration,
                min_tokens=least,
                max_tokens=most,
                unconditional=nothing,
                history=history,
            )
            for text, duration, seed in zip(states, durations, seeds, strict=True)
        ]

    def num_candidates(self, asked: int | None) -> int:
        """How many motions are drawn of a text. Raises ValueError where there is no ranker to choose by."""
        if asked is None:
            return self.release.config.candidates if self.release.ranker is not None else 1
        if not 1 <= asked <= MAX_CANDIDATES:
            raise ValueError(f"{asked} candidates; expected 1 to {MAX_CANDIDATES}")
        if asked > 1 and self.release.ranker is None:
            raise ValueError(
                f"{asked} candidates, but {self.release.config.name!r} has no ranker to choose by; use 1, or `best`"
            )
        return asked

    @property
    def _seconds_per_token(self) -> float:
        return self.release.codec.frames_per_token / self.release.config.fps

    def _bounds(self, sampling: SamplingConfig) -> tuple[int, int | None]:
        """Least and most tokens of a motion that ends by itself."""
        unit = self._seconds_per_token
        least, most = sampling.min_seconds, sampling.max_seconds
        longest = None if most is None else max(1, round(most / unit))
        shortest = MIN_TOKENS if least is None else round(least / unit)
        return (shortest if longest is None else min(shortest, longest)), longest
