"""A job that runs -> requests to the engine, events for its readers, motions when all is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motionmill.formats import npz
from motionmill.generator.choose import candidate_seed
from motionmill.generator.config import SamplingConfig
from motionmill.generator.engine import Engine, Request, Stream
from motionmill.motion import physics
from motionmill.motion.cleanup import clean
from motionmill.motion.motion import Motion
from motionmill.pipeline import TextToMotion
from motionmill.server.live import Live
from motionmill.server.preview import Preview
from motionmill.server.schemas import MotionRequest
from motionmill.server.store import StoredJob

_PREVIEW_TOKENS = 2  # frames are decoded when so many tokens are new


@dataclass(frozen=True)
class Threads:
    """Beside the engine: `finish` chooses, decodes and cleans; `preview`, one thread, decodes what is shown."""

    finish: Executor
    preview: Executor


class Sample:
    """One variation: part after part, each drawn several times, of which the best is taken."""

    def __init__(self, number: int, seed: int, codec: Any) -> None:
        self.number, self.seed = number, seed
        self.part = 0
        self.tokens = torch.empty(0, dtype=torch.long)  # of the parts that are there
        self.streams: list[Stream] = []
        self.requests: list[Request] = []
        self.preview = Preview(codec)
        self.shown = 0  # tokens that were given to the preview
        self.showing: Future[None] | None = None
        self.show_next = 0.0
        self.choice: Future[Tensor] | None = None
        self.motion: Future[dict[str, Any]] | None = None

    @property
    def drawing(self) -> bool:
        return any(not stream.done for stream in self.streams)


class Work:
    """One job on the engine; `advance` is called between two of its steps."""

    def __init__(
        self,
        job: StoredJob,
        pipeline: TextToMotion,
        engine: Engine,
        threads: Threads,
        live: Live,
        folder: Path,
        deadline: float,
    ) -> None:
        self.job, self.live, self.deadline = job, live, deadline
        self.request = MotionRequest.model_validate(job.request)
        self._pipeline, self._engine, self._threads = pipeline, engine, threads
        self._folder = folder
        self._sampling: SamplingConfig = pipeline.release.config.sampling.changed(
            self.request.sampling.model_dump()
        )
        self._count = pipeline.tokens.num_candidates(self.request.candidates)
        first = self.request.seed or 0
        self.samples = [
            Sample(k, first + k, pipeline.release.codec) for k in range(self.request.samples)
        ]

    def begin(self) -> None:
        """Read the text and ask the engine for the first part of every sample."""
        self.live.say("encoding")
        for sample in self.samples:
            self._draw(sample)

    def advance(self, show_every: float) -> None:
        """Look what has come, tell it, and ask for what is next.

        Args:
            show_every: seconds between two looks at the frames of a sample, but for the first and the last.
        """
        for sample in self.samples:
            self._advance(sample, show_every)

    @property
    def done(self) -> bool:
        return all(
            sample.motion is not None
            and sample.motion.done()
            and (sample.showing is None or sample.showing.done())
            for sample in self.samples
        )

    @property
    def drawing(self) -> bool:
        """Whether the engine has something to do for it."""
        return any(sample.drawing for sample in self.samples)

    def result(self) -> list[dict[str, Any]]:
        """The finished motions as clients are told. Raises what went wrong."""
        for sample in self.samples:
            if sample.showing is not None:
                sample.showing.result()
        return [sample.motion.result() for sample in self.samples if sample.motion is not None]

    def cancel(self) -> None:
        """Leave the engine; it computes nothing more for this job."""
        for sample in self.samples:
            for stream in sample.streams:
                self._engine.cancel(stream.id)
            sample.streams = []

    def _draw(self, sample: Sample) -> None:
        part = self.request.parts[sample.part]
        request = self._pipeline.tokens.requests(
            [part.prompt],
            [self._pipeline.tokens.count(part.seconds)],
            [sample.seed + sample.part],
            self._sampling,
            sample.tokens,
        )[0]
        sample.requests = [
            replace(request, seed=candidate_seed(request.seed, k)) for k in range(self._count)
        ]
        sample.streams = [self._engine.submit(each) for each in sample.requests]

    def _advance(self, sample: Sample, show_every: float) -> None:
        if sample.motion is not None:
            return
        if sample.choice is not None:
            if sample.choice.done():
                self._choose(sample, sample.choice.result())
            return
        self._tell(sample, show_every)
        if not sample.drawing:
            part, drawn = self.request.parts[sample.part], [s.result() for s in sample.streams]
            sample.choice = self._threads.finish.submit(
                self._pipeline.tokens.best_of, part.prompt, sample.requests[0], drawn
            )

    def _choose(self, sample: Sample, tokens: Tensor) -> None:
        """A part is there: the next, or the whole motion."""
        shown = sample.streams[0].result()
        sample.choice = None
        sample.tokens = torch.cat((sample.tokens, tokens))
        sample.part += 1
        if sample.part < len(self.request.parts):
            if not torch.equal(shown, tokens):
                sample.shown = 0
                self._threads.preview.submit(sample.preview.restart)
            self._draw(sample)
            return
        sample.streams = []
        sample.motion = self._threads.finish.submit(self._finish, sample)

    def _tell(self, sample: Sample, show_every: float) -> None:
        """Tokens so far and their frames, if anybody looks."""
        first = sample.streams[0]
        now = len(sample.tokens) + first.num_tokens
        least = 1 if first.done else _PREVIEW_TOKENS
        if not self.live.watched or now - sample.shown < least:
            return
        busy = sample.showing is not None and not sample.showing.done()
        if not first.done and (busy or time.monotonic() < sample.show_next):
            return
        piece = [*sample.tokens.tolist(), *first.tokens][sample.shown :]
        sample.shown = now
        sample.showing = self._threads.preview.submit(self._show, sample, sample.part, piece)
        sample.show_next = time.monotonic() + show_every

    def _show(self, sample: Sample, part: int, piece: list[int]) -> None:
        frames = sample.preview.push(piece)
        self.live.say("tokens", sample=sample.number, part=part, tokens=sample.preview.num_tokens)
        if frames is not None:
            self.live.say("frames", sample=sample.number, **frames)

    def _finish(self, sample: Sample) -> dict[str, Any]:
        """Decode, keep the raw motion, measure the cleaned one."""
        name = "; ".join(part.prompt for part in self.request.parts)
        raw = self._pipeline.decode(sample.tokens, name=name, cleanup=0.0)
        identity = f"{self.job.id}-{sample.number}"
        npz.save(raw, self._folder / f"{identity}.npz", compressed=False)
        cleaned = clean(raw, strength=self.request.cleanup)
        return {
            "id": identity,
            "seed": sample.seed,
            "frames": len(raw),
            "fps": raw.fps,
            "seconds": round(raw.seconds, 3),
            "physics": measures(cleaned),
            "files": {},
        }


def measures(motion: Motion) -> dict[str, float]:
    """The physics numbers of a motion on SMPL-22, by names with units."""
    found: dict[str, Callable[[Motion], float]] = {
        "foot_slide_mm_per_frame": physics.foot_slide,
        "floating_percent": physics.floating,
        "penetration_mm": physics.penetration,
        "jitter_100_m_per_s3": physics.jitter,
    }
    if len(motion) < 4:
        return {}
    numbers = {name: float(measure(motion)) for name, measure in found.items()}
    return {name: round(value, 3) for name, value in numbers.items() if value == value}


def contact_runs(motion: Motion) -> list[tuple[int, int, int]]:
    """Which foot joint (0 to 3) rests on the floor from which frame to which, the last not included."""
    runs: list[tuple[int, int, int]] = []
    for foot, column in enumerate(physics.contacts(motion).T.tolist()):
        start: int | None = None
        for frame, resting in enumerate([*column, False]):
            if resting and start is None:
                start = frame
            elif not resting and start is not None:
                runs.append((foot, start, frame))
                start = None
    return runs
