"""A job that runs -> requests to the engine, events for its readers, motions when all is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motionmill.generator.choose import candidate_seed
from motionmill.generator.config import SamplingConfig
from motionmill.generator.engine import Engine, Request, Stream
from motionmill.pipeline import TextToMotion
from motionmill.server.finishing import Choice
from motionmill.server.helper import Helper
from motionmill.server.live import Live
from motionmill.server.schemas import MotionRequest
from motionmill.server.store import StoredJob

_PREVIEW_TOKENS = 2  # frames are decoded when so many tokens are new


class Sample:
    """One variation: part after part, each drawn several times, of which the best is taken."""

    def __init__(self, number: int, seed: int) -> None:
        self.number, self.seed = number, seed
        self.part = 0
        self.tokens = torch.empty(0, dtype=torch.long)  # of the parts that are there
        self.starts: list[int] = []  # the tokens at which the parts but the first begin
        self.streams: list[Stream] = []
        self.requests: list[Request] = []
        self.shown = 0  # tokens that were given to the preview
        self.showing: Future[tuple[int, dict[str, Any] | None]] | None = None
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
        texts: Executor,
        helper: Helper,
        live: Live,
        folder: Path,
        deadline: float,
        changed: Callable[[], None],
    ) -> None:
        """Args: texts: where prompts are read. changed: called by any thread when `advance` should look."""
        self.job, self.live, self.deadline = job, live, deadline
        self.request = MotionRequest.model_validate(job.request)
        self._pipeline, self._engine, self._helper = pipeline, engine, helper
        self._folder, self._changed = folder, changed
        self._texts, self._reading = texts, Future[list[Tensor]]()
        self._sampling: SamplingConfig = pipeline.release.config.sampling.changed(
            self.request.sampling.model_dump()
        )
        self._count = pipeline.tokens.num_candidates(self.request.candidates)
        first = self.request.seed or 0
        self.samples = [Sample(k, first + k) for k in range(self.request.samples)]

    def begin(self) -> None:
        """Have the prompts read, beside the engine's steps: a large text model takes as long as many of them."""
        self.live.say("encoding")
        prompts = dict.fromkeys(part.prompt for part in self.request.parts)
        self._reading = self._texts.submit(self._pipeline.tokens.encoder.encode, [*prompts, ""])
        self._reading.add_done_callback(lambda _: self._changed())

    def advance(self, show_every: float) -> None:
        """Look what has come, tell it, and ask for what is next.

        Args:
            show_every: seconds between two looks at the frames of a sample, but for the first and the last.
        """
        if not self._reading.done():
            return
        self._reading.result()
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
        return [
            {"id": self._key(sample), "seed": sample.seed, **sample.motion.result(), "files": {}}
            for sample in self.samples
            if sample.motion is not None
        ]

    def cancel(self) -> None:
        """Leave the engine; it computes nothing more for this job."""
        self._reading.cancel()
        for sample in self.samples:
            for stream in sample.streams:
                self._engine.cancel(stream.id)
            sample.streams = []
            self._ask("forget", self._key(sample))

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
        if not sample.streams:
            self._draw(sample)
        if sample.choice is not None:
            if sample.choice.done():
                self._go_on(sample, sample.choice.result())
            return
        self._tell(sample, show_every)
        if not sample.drawing:
            self._choose(sample)

    def _choose(self, sample: Sample) -> None:
        """All candidates of a part are there: one of them goes on, or is finished where it is the last part."""
        part, drawn = self.request.parts[sample.part], [s.result() for s in sample.streams]
        choice = Choice(part.prompt, sample.requests[0].states, drawn, sample.tokens)
        if sample.part + 1 < len(self.request.parts):
            sample.choice = self._ask("choose", choice)
            return
        sample.streams = []
        name = "; ".join(part.prompt for part in self.request.parts)
        path = self._folder / f"{self._key(sample)}.npz"
        sample.motion = self._ask("finish", choice, sample.starts, name, self.request.cleanup, path)

    def _go_on(self, sample: Sample, tokens: Tensor) -> None:
        """A part is there: the next."""
        if not torch.equal(sample.streams[0].result(), tokens):
            sample.shown = 0
            self._ask("forget", self._key(sample))
        sample.choice = None
        sample.tokens = torch.cat((sample.tokens, tokens))
        sample.starts.append(len(sample.tokens))
        sample.part += 1
        self._draw(sample)

    def _ask(self, what: str, *arguments: Any) -> Future[Any]:
        answer = self._helper.submit(what, *arguments)
        answer.add_done_callback(lambda _: self._changed())
        return answer

    def _key(self, sample: Sample) -> str:
        """What the motion of a sample is called."""
        return f"{self.job.id}-{sample.number}"

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
        sample.showing = self._ask("show", self._key(sample), piece)
        sample.showing.add_done_callback(partial(self._shown, sample.number, sample.part))
        sample.show_next = time.monotonic() + show_every

    def _shown(
        self, number: int, part: int, showing: Future[tuple[int, dict[str, Any] | None]]
    ) -> None:
        """Frames have come; this is called by whatever thread brings them."""
        if showing.cancelled() or showing.exception() is not None:
            return  # `result` says why
        tokens, frames = showing.result()
        self.live.say("tokens", sample=number, part=part, tokens=tokens)
        if frames is not None:
            self.live.say("frames", sample=number, **frames)
