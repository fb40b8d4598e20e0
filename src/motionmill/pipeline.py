"""TextToMotion: prompt -> text states -> tokens -> features -> Motion; the main path, readable in one sitting."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motionmill.generator.config import Precision, SamplingConfig
from motionmill.generator.encoding import CachedEncoder, load_encoder
from motionmill.generator.engine import Engine
from motionmill.generator.prompt import check_prompt
from motionmill.generator.release import Release, load_release
from motionmill.generator.text import TextEncoder
from motionmill.generator.text_to_tokens import TextToTokens
from motionmill.generator.tokens_to_motion import tokens_to_motion
from motionmill.motion.cleanup import clean
from motionmill.motion.features import NUM_FEATURES, from_motion, to_motion
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import heading, yaw_matrix
from motionmill.tokenizer.stream import StreamDecoder
from motionmill.training.device import choose_device

DEFAULT_MODEL = "mini"
_BLEND_FRAMES = 8

Scorer = Callable[[str, Motion], float]


class TextToMotion:
    """Sentences -> motions.

    >>> motion = TextToMotion.from_pretrained()("a person bows", seconds=3, seed=0)
    """

    def __init__(self, release: Release, encoder: TextEncoder) -> None:
        self.release = release
        self.encoder = (
            encoder if isinstance(encoder, CachedEncoder) else CachedEncoder(lambda: encoder)
        )
        self.tokens = TextToTokens(release, self.encoder)

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = DEFAULT_MODEL,
        *,
        device: str | torch.device | None = None,
        precision: Precision = "float32",
        text_device: str | torch.device | None = None,
        text_cache: Path | None = None,
    ) -> TextToMotion:
        """Load a model.

        Args:
            model: a name that ships with the package ("mini", "open") or a release folder.
            device: where to run; a GPU when there is one, else the CPU.
            precision: of the generator. "int8" is fastest for one prompt, "bfloat16" for many; neither gives the very
                motion that "float32" gives.
            text_device: where a T5 text encoder runs, as `device` by default; `unload_encoder` frees its memory.
            text_cache: a folder that keeps the states of texts; the encoder is loaded only for what it has not.

        Raises:
            FileNotFoundError: no such model.
            ValueError: a file of it is damaged, no such device, or no such precision.
        """
        place = choose_device(device)
        release = load_release(model, device=place, precision=precision)
        text_place = place if text_device is None else choose_device(text_device)
        encoder = load_encoder(release.config, device=text_place, cache=text_cache)
        if text_cache is None:
            encoder.load()
        return cls(release, encoder)

    def unload_encoder(self) -> None:
        """Free the memory of the text encoder; texts that it has read stay known, and a new one loads it again."""
        self.encoder.unload()

    @property
    def device(self) -> torch.device:
        return self.engine.device

    @property
    def engine(self) -> Engine:
        """What runs the generator; it may serve others beside this pipeline."""
        return self.tokens.engine

    @property
    def context_seconds(self) -> float:
        """How much of a motion the model sees at once; a longer one goes on from its last half."""
        tokens = self.release.generator.config.max_tokens
        return tokens * self.release.codec.frames_per_token / self.release.config.fps

    def __call__(
        self,
        prompt: str,
        *,
        seconds: float | None = None,
        seed: int = 0,
        sampling: SamplingConfig | None = None,
        candidates: int | None = None,
        cleanup: float = 1.0,
    ) -> Motion:
        """One prompt -> one motion at 30 fps; see `generate`."""
        return self.generate(
            [prompt],
            seconds=seconds,
            seeds=[seed],
            sampling=sampling,
            candidates=candidates,
            cleanup=cleanup,
        )[0]

    def generate(
        self,
        prompts: Sequence[str],
        *,
        seconds: float | Sequence[float | None] | None = None,
        seeds: Sequence[int] | None = None,
        sampling: SamplingConfig | None = None,
        candidates: int | None = None,
        cleanup: float = 1.0,
    ) -> list[Motion]:
        """Prompts -> motions at 30 fps.

        Args:
            prompts: what is done, in English.
            seconds: length, for all or for each; met to one token. Without it a motion ends by itself, between the
                `min_seconds` and `max_seconds` of `sampling`.
            seeds: one a prompt, 0, 1, 2, ... by default; a seed gives the same motion whatever else is in the batch.
            sampling: temperature, truncation, guidance, shortest and longest; the model's own by default.
            candidates: motions drawn of each prompt, of which the model's ranker takes the best; the model's own number
                by default.
            cleanup: strength of the foot-lock clean-up, 0 (raw) to 1.

        Raises:
            ValueError: a prompt that is empty, endless or no text, or a length that cannot be made.
        """
        if isinstance(prompts, str):
            raise ValueError(f"prompts is one text, {prompts[:60]!r}; expected a list of texts")
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
        durations = [self.tokens.count(length) for length in lengths]
        made = self.tokens(prompts, durations, seeds, sampling, candidates=candidates)
        return [
            self.decode(tokens, name=prompt, cleanup=cleanup)
            for prompt, tokens in zip(prompts, made, strict=True)
        ]

    def best(
        self, prompt: str, scorer: Scorer, *, count: int = 4, seed: int = 0, **settings: Any
    ) -> Motion:
        """Of `count` motions the one that `scorer(prompt, motion)` gives the highest score; seeds from `seed` on."""
        seeds = list(range(seed, seed + count))
        motions = self.generate([prompt] * count, seeds=seeds, candidates=1, **settings)
        return max(motions, key=lambda motion: scorer(prompt, motion))

    def timeline(
        self,
        parts: Sequence[tuple[str, float | None]],
        *,
        seed: int = 0,
        sampling: SamplingConfig | None = None,
        candidates: int | None = None,
        cleanup: float = 1.0,
    ) -> Motion:
        """One motion that does one thing after another.

        Args:
            parts: prompts and how long each lasts, seconds; None where the model decides.

        Raises:
            ValueError: no parts, or one that cannot be made.
        """
        if not parts:
            raise ValueError("an empty timeline; give at least one prompt")
        for prompt, _ in parts:
            check_prompt(prompt)
        tokens = torch.empty(0, dtype=torch.long)
        starts = []
        for number, (prompt, seconds) in enumerate(parts):
            starts.append(len(tokens))
            length = self.tokens.count(seconds)
            new = self.tokens(
                [prompt],
                [length],
                [seed + number],
                sampling,
                history=tokens,
                candidates=candidates,
            )[0]
            tokens = torch.cat((tokens, new))
        name = "; ".join(prompt for prompt, _ in parts)
        return self.decode(tokens, name=name, cleanup=cleanup, starts=starts[1:])

    def extend(
        self,
        motion: Motion,
        prompt: str,
        *,
        seconds: float | None = None,
        seed: int = 0,
        sampling: SamplingConfig | None = None,
        candidates: int | None = None,
        cleanup: float = 1.0,
    ) -> Motion:
        """A motion -> the same motion on our skeleton at 30 fps, going on as the prompt says, without a seam.

        Args:
            motion: on an SMPL-22 skeleton (see `motionmill.motion.retarget` for others), at least one token long.
            seconds: how much is added; without it the model decides.

        Raises:
            ValueError: another skeleton, or a motion that is too short.
        """
        check_prompt(prompt)
        codec, unit = self.release.codec, self.release.codec.frames_per_token
        features = from_motion(motion)
        if len(features) < unit:
            raise ValueError(
                f"the motion to go on from has {len(features)} frames at 30 fps; expected at least {unit}"
            )
        history = codec.encode(features[len(features) % unit :].float()).cpu()
        new = self.tokens(
            [prompt],
            [self.tokens.count(seconds)],
            [seed],
            sampling,
            history=history,
            candidates=candidates,
        )
        decoded = codec.decode(torch.cat((history, new[0])).to(self.device)).to(features)
        known = len(history) * unit
        # The last frames of the given motion go over into how the tokenizer sees them, which is where the rest begins.
        blend = min(_BLEND_FRAMES, known)
        weight = torch.linspace(0, 1, blend + 2)[1:-1, None].to(features)
        features[-blend:] = torch.lerp(features[-blend:], decoded[known - blend : known], weight)
        whole = torch.cat((features, decoded[known:]))
        leg = whole.new_tensor(motion.skeleton.leg_length)
        made = to_motion(whole, name=prompt, leg=leg)
        made = clean(made, strength=cleanup, floor_at_zero=True)
        turn = yaw_matrix(heading(motion.rotations[0, 0]))
        start = motion.root[0] * motion.root.new_tensor([1.0, 0.0, 1.0])
        return made.transformed(turn, start)

    def stream(
        self,
        prompt: str,
        *,
        seconds: float | None = None,
        seed: int = 0,
        sampling: SamplingConfig | None = None,
    ) -> Iterator[Motion]:
        """The motion in pieces, as they come; raw, since the clean-up needs the whole.

        With the shipped models the first piece comes after one token; a tokenizer that looks ahead comes later.
        """
        check_prompt(prompt)
        stream = self.tokens.stream(prompt, self.tokens.count(seconds), seed, sampling)
        decoder = StreamDecoder(self.release.codec)
        features = torch.empty(0, NUM_FEATURES, dtype=torch.float64)
        leg = None
        pieces = itertools.chain(
            (decoder.push([token]) for token in stream),
            iter([None]),
        )
        for piece in pieces:
            rows = decoder.finish() if piece is None else piece
            if not len(rows):
                continue
            leg = self.release.codec.leg_length(rows) if leg is None else leg
            features = torch.cat((features, rows))
            yield to_motion(features, name=prompt, leg=leg)[slice(-len(rows), None)]

    def check(self, prompt: str, seconds: float | None = None) -> None:
        """Raises ValueError for a prompt or a length that this model cannot make."""
        check_prompt(prompt)
        self.tokens.count(seconds)

    def decode(
        self, tokens: Tensor, *, name: str = "", cleanup: float = 1.0, starts: Sequence[int] = ()
    ) -> Motion:
        """(N,) tokens -> Motion on our skeleton; `starts` are the tokens at which the parts but the first begin."""
        motion = tokens_to_motion(self.release.codec, tokens, starts=starts, name=name)
        return clean(motion, strength=cleanup, floor_at_zero=True)
