"""TextToMotion: prompt -> text states -> tokens -> features -> Motion; the main path, readable in one sitting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from motionmill.generator.config import ReleaseConfig, SamplingConfig
from motionmill.generator.engine import Engine, Request
from motionmill.generator.release import Release, load_release
from motionmill.generator.text import T5, MiniLM, TextEncoder
from motionmill.motion.cleanup import clean
from motionmill.motion.features import to_motion
from motionmill.motion.motion import Motion
from motionmill.training.device import choose_device

DEFAULT_MODEL = "mini"
MAX_PROMPT_CHARACTERS = 1000
_BATCH = 32


class TextToMotion:
    """Sentences -> motions.

    >>> motion = TextToMotion.from_pretrained()("a person bows", seconds=3, seed=0)
    """

    def __init__(self, release: Release, encoder: TextEncoder) -> None:
        self.release, self.encoder = release, encoder
        self.engine = Engine(release.generator)

    @classmethod
    def from_pretrained(
        cls, model: str | Path = DEFAULT_MODEL, *, device: str | torch.device | None = None
    ) -> TextToMotion:
        """Load a model.

        Args:
            model: a name that ships with the package ("mini", "open") or a release folder.
            device: where to run; a GPU when there is one, else the CPU.

        Raises:
            FileNotFoundError: no such model.
            ValueError: a file of it is damaged, or no such device.
        """
        place = choose_device(device)
        release = load_release(model, device=place)
        return cls(release, load_encoder(release.config, device=place))

    @property
    def device(self) -> torch.device:
        return self.release.generator.head.weight.device

    @property
    def max_seconds(self) -> float:
        """The longest motion that the model makes."""
        tokens = self.release.generator.config.max_tokens
        return tokens * self.release.codec.frames_per_token / self.release.config.fps

    def __call__(
        self,
        prompt: str,
        *,
        seconds: float | None = None,
        seed: int = 0,
        sampling: SamplingConfig | None = None,
        cleanup: float = 1.0,
    ) -> Motion:
        """One prompt -> one motion at 30 fps; see `generate`."""
        return self.generate(
            [prompt], seconds=seconds, seeds=[seed], sampling=sampling, cleanup=cleanup
        )[0]

    def generate(
        self,
        prompts: Sequence[str],
        *,
        seconds: float | Sequence[float | None] | None = None,
        seeds: Sequence[int] | None = None,
        sampling: SamplingConfig | None = None,
        cleanup: float = 1.0,
    ) -> list[Motion]:
        """Prompts -> motions at 30 fps.

        Args:
            prompts: what is done, in English.
            seconds: length, for all or for each; met to one token. Without it a motion ends by itself.
            seeds: one a prompt, 0, 1, 2, ... by default; a seed gives the same motion whatever else is in the batch.
            sampling: temperature, truncation and guidance; the model's own by default.
            cleanup: strength of the foot-lock clean-up, 0 (raw) to 1.

        Raises:
            ValueError: an empty or endless prompt, or a length that the model cannot make.
        """
        for prompt in prompts:
            check_prompt(prompt)
        seeds = list(range(len(prompts))) if seeds is None else list(seeds)
        lengths: list[float | None] = (
            [seconds] * len(prompts)
            if seconds is None or isinstance(seconds, int | float)
            else list(seconds)
        )
        if not len(prompts) == len(seeds) == len(lengths):
            raise ValueError(
                f"{len(prompts)} prompts, {len(seeds)} seeds, {len(lengths)} lengths; expected as many"
            )
        durations = [self._num_tokens(length) for length in lengths]
        motions: list[Motion] = []
        for start in range(0, len(prompts), _BATCH):
            rows = slice(start, start + _BATCH)
            for prompt, tokens in zip(
                prompts[rows],
                self.tokens(prompts[rows], durations[rows], seeds[rows], sampling),
                strict=True,
            ):
                motions.append(self.decode(tokens, name=prompt, cleanup=cleanup))
        return motions

    def tokens(
        self,
        prompts: Sequence[str],
        durations: Sequence[int],
        seeds: Sequence[int],
        sampling: SamplingConfig | None = None,
    ) -> list[Tensor]:
        """Prompts -> (N,) tokens each; a duration is a number of tokens, 0 where the motion ends by itself."""
        sampling = sampling or self.release.config.sampling
        *states, nothing = self.encoder.encode([*prompts, ""])
        requests = [
            Request(text, sampling, seed=seed, duration=duration, unconditional=nothing)
            for text, duration, seed in zip(states, durations, seeds, strict=True)
        ]
        return self.engine.generate(requests)

    def decode(self, tokens: Tensor, *, name: str = "", cleanup: float = 1.0) -> Motion:
        """(N,) tokens -> Motion on our skeleton."""
        features = self.release.codec.decode(tokens).cpu()
        motion = to_motion(features, name=name)
        return clean(motion, strength=cleanup) if cleanup > 0 else motion

    def _num_tokens(self, seconds: float | None) -> int:
        if seconds is None:
            return 0
        unit = self.release.codec.frames_per_token / self.release.config.fps
        if not (math.isfinite(seconds) and unit <= seconds <= self.max_seconds):
            raise ValueError(
                f"{seconds} seconds; this model makes {unit:.2f} to {self.max_seconds:g} seconds"
            )
        return max(1, round(seconds / unit))


def load_encoder(config: ReleaseConfig, *, device: torch.device | None = None) -> TextEncoder:
    """The text encoder that a model was trained with."""
    return (
        MiniLM() if config.text_encoder == "minilm" else T5(config.text_encoder_path, device=device)
    )


def check_prompt(prompt: str) -> None:
    """Raises ValueError for a prompt that says nothing or too much."""
    if not prompt.strip():
        raise ValueError('the prompt is empty; describe a motion, for example "a person waves"')
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise ValueError(
            f"the prompt has {len(prompt)} characters; at most {MAX_PROMPT_CHARACTERS} are understood: say it shorter"
        )
