"""A system and samples -> results: every row of the table, seed by seed, resumable.

Rows: real motion, the floors (real motion with shuffled captions and with random texts), real motion as the system's
tokenizer gives it back, and the system's motions: with the real lengths, with lengths of its own, and cleaned up. Each
seed draws the pools of R-precision and the pairs of the diversities, and the system's motions. What was drawn and
measured of a seed is kept in `RESULTS/drawn` and `RESULTS/measured`, so that an interrupted run goes on with the next.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motionmill.evaluation.config import ProtocolConfig
from motionmill.evaluation.measure import ERRORS, PHYSICS, Instruments, Measured
from motionmill.evaluation.metrics import (
    code_use,
    diversity,
    frechet_distance,
    multimodality,
    retrieval,
)
from motionmill.evaluation.protocol import Sample, sample_set_hash
from motionmill.evaluation.results import FREE_TO_DIFFER, Results
from motionmill.evaluation.systems import VARIANTS, System
from motionmill.motion.features import FEATURES_FPS
from motionmill.training.weights import write_text

Progress = Callable[[int, int], None]


def evaluate(
    system: System,
    samples: Sequence[Sample],
    instruments: Instruments,
    protocol: ProtocolConfig,
    output: Path,
    *,
    facts: Mapping[str, Any] | None = None,
    progress: Progress = lambda done, total: None,
) -> Results:
    """Measure, write `results.json` and `table.md` into `output`, and return them.

    Args:
        facts: what else is to be said in the results, such as the data set and the host.

    Raises:
        ValueError: `output` holds measurements under another protocol, evaluator or system, or the system has no motion
            for any sample.
    """
    seeds = protocol.seeds if system.seeds is None else min(protocol.seeds, system.seeds)
    facts = {
        "protocol": protocol.model_dump(mode="json"),
        "seeds": seeds,
        "samples": len(samples),
        "sample_set": sample_set_hash(samples),
        "evaluator": instruments.evaluator.version,
        "system_version": system.version,
        **(facts or {}),
    }
    kept = _Kept(output, system, instruments, facts)
    rows = _Rows(samples, instruments, protocol, seeds)
    truth = [sample.features for sample in samples]
    real = kept.of("real", lambda: truth)
    reconstructed = kept.of("reconstructed", lambda: system.reconstruct(samples), truth)
    rows.references(real, reconstructed)
    rows.codes("reconstructed", [system.codes(samples, 0, "real")] * seeds)
    steps = seeds * len(system.variants)
    for place, variant in enumerate(system.variants):
        made = []
        for seed in range(seeds):
            done = place * seeds + seed

            def part(now: int, total: int, done: int = done) -> None:
                progress(done * total + now, steps * total)

            made.append(
                kept.of(f"{variant}-{seed}", partial(system.make, samples, seed, variant, part))
            )
            progress((done + 1) * len(samples), steps * len(samples))
        rows.system(VARIANTS[variant], made)
        rows.codes(
            VARIANTS[variant], [system.codes(samples, seed, variant) for seed in range(seeds)]
        )
        if not any(len(part.samples) for part in made):
            first = next(iter(kept.failures.items()), ("", ""))
            raise ValueError(
                f"{system.name}: no motion for any of {len(samples)} samples; the first: {': '.join(first)}"
            )
    coverage = sum(len(part.samples) for part in made) / (len(samples) * len(made))
    results = Results(
        system.name,
        {**facts, "coverage": coverage, "failures": kept.failures},
        rows.values,
    )
    results.save(output)
    return results


class _Kept:
    """Measurements on disk: what is there is not made again. `failures` are those of all parts."""

    def __init__(
        self, output: Path, system: System, instruments: Instruments, facts: Mapping[str, Any]
    ) -> None:
        self.folder, self.system, self.instruments = output / "measured", system, instruments
        self.folder.mkdir(parents=True, exist_ok=True)
        claim = {
            "system": system.name,
            "version": system.version,
            "protocol": {k: v for k, v in facts["protocol"].items() if k not in FREE_TO_DIFFER},
            "sample_set": facts["sample_set"],
            "evaluator": facts["evaluator"],
        }
        path = output / "claim.json"
        held = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else claim
        for name, value in claim.items():
            if held.get(name) != value:
                raise ValueError(
                    f"{output}: holds measurements of {name} {json.dumps(held.get(name))}, this is "
                    f"{json.dumps(value)}; choose another folder"
                )
        write_text(path, json.dumps(claim, indent=1) + "\n")
        self._failures = self.folder / "failures.json"
        self.failures: dict[str, str] = {}
        if self._failures.is_file():
            self.failures = json.loads(self._failures.read_text(encoding="utf-8"))

    def of(
        self,
        name: str,
        make: Callable[[], Sequence[Tensor | None]],
        truth: Sequence[Tensor] | None = None,
    ) -> Measured:
        path = self.folder / f"{name}.safetensors"
        if not path.is_file():
            measured = self.instruments(make(), truth)
            if self.system.failures:
                self.failures |= self.system.failures
                write_text(self._failures, json.dumps(self.failures, indent=1) + "\n")
            measured.save(path)
        return Measured.load(path)


class _Rows:
    """The table as it grows: row -> metric -> values, one a seed."""

    def __init__(
        self,
        samples: Sequence[Sample],
        instruments: Instruments,
        protocol: ProtocolConfig,
        seeds: int,
    ) -> None:
        self.samples, self.instruments = samples, instruments
        self.protocol, self.seeds = protocol, seeds
        self.texts = instruments.evaluator.embed_texts([sample.text for sample in samples])
        self.random_texts = instruments.evaluator.embed_texts(_random_texts(samples))
        self.values: dict[str, dict[str, list[float]]] = {}

    def references(self, real: Measured, reconstructed: Measured) -> None:
        """Real motion, the two floors, and reconstructed motion."""
        self.real, self.reconstructed = real, reconstructed
        for seed in range(self.seeds):
            self._add("real", real, seed, fid=False)
            draw = torch.Generator().manual_seed(seed)
            halves = torch.randperm(len(real.embeddings), generator=draw).chunk(2)
            between = frechet_distance(*(real.embeddings[half] for half in halves))
            self._put("real", {"fid_real": between})
            order = _derangement(len(self.samples), seed)
            self._text_floor("real, captions shuffled", self.texts[order], seed)
            self._text_floor("real, random texts", self.random_texts, seed)
            if len(reconstructed.samples):
                self._add("reconstructed", reconstructed, seed, fid=True)

    def system(self, row: str, made: Sequence[Measured]) -> None:
        """The motions of all seeds."""
        for seed, measured in enumerate(made):
            self._add(row, measured, seed, fid=True)
        complete = all(len(part.samples) == len(self.samples) for part in made)
        if len(made) > 1 and complete and self.protocol.name == "v2":
            stacked = torch.stack([part.embeddings for part in made], dim=1)
            for seed in range(self.seeds):
                draw = torch.Generator().manual_seed(seed)
                pairs = self.protocol.multimodality_pairs
                value = multimodality(stacked, num_pairs=pairs, generator=draw)
                self._put(row, {"multimodality": value})

    def codes(self, row: str, used: Sequence[tuple[Tensor, int] | None]) -> None:
        """How evenly the codebook is used, seed by seed; nothing for a system without one."""
        for part in used:
            if part is not None:
                use = code_use(*part)
                self._put(row, {"code_perplexity": use.perplexity, "codes_used": 100 * use.used})

    def _add(self, row: str, measured: Measured, seed: int, *, fid: bool) -> None:
        texts = self.texts[measured.samples]
        self._put(row, self._text_metrics(texts, measured.embeddings, seed))
        if len(measured.samples) > 1:
            if fid:
                self._put(
                    row, {"fid_real": frechet_distance(measured.embeddings, self.real.embeddings)}
                )
                if len(self.reconstructed.samples) > 1 and row != "reconstructed":
                    between = frechet_distance(measured.embeddings, self.reconstructed.embeddings)
                    self._put(row, {"fid_reconstructed": between})
            draw = torch.Generator().manual_seed(seed)
            pairs = self.protocol.diversity_pairs
            value = diversity(measured.embeddings, num_pairs=pairs, generator=draw)
            self._put(row, {"diversity": value})
        self._put(row, _means(measured))
        self._put(row, self._recognition(measured))

    def _text_floor(self, row: str, texts: Tensor, seed: int) -> None:
        self._put(row, self._text_metrics(texts[self.real.samples], self.real.embeddings, seed))

    def _text_metrics(self, texts: Tensor, motions: Tensor, seed: int) -> dict[str, float]:
        if len(motions) < self.protocol.pool_size:
            return {}
        draw = torch.Generator().manual_seed(seed)
        found = retrieval(texts, motions, pool_size=self.protocol.pool_size, generator=draw)
        ranks = {f"r_at_{k + 1}": value for k, value in enumerate(found.r_precision)}
        return {**ranks, "mm_distance": found.mm_distance}

    def _recognition(self, measured: Measured) -> dict[str, float]:
        """Of the motions whose classes are known, the share that the judge sees in them, %."""
        config = self.instruments.judge.model.config
        right = []
        for place, (content, style) in zip(
            measured.samples.tolist(), measured.classes.tolist(), strict=True
        ):
            truth = self.samples[place].truth
            if truth is not None:
                found = (
                    config.contents[content] == truth.content,
                    config.styles[style] == truth.style,
                )
                right.append((*found, all(found)))
        if not right:
            return {}
        return {
            name: 100 * sum(row[place] for row in right) / len(right)
            for place, name in enumerate(("content", "style", "both"))
        }

    def _put(self, row: str, values: Mapping[str, float]) -> None:
        metrics = self.values.setdefault(row, {})
        for name, value in values.items():
            metrics.setdefault(name, []).append(value)


def _means(measured: Measured) -> dict[str, float]:
    if not len(measured.samples):
        return {}
    means = measured.physics.double().mean(dim=0).tolist()
    seconds = float(measured.frames.double().mean()) / FEATURES_FPS
    errors = measured.errors.double().mean(dim=0).tolist()
    return {
        **dict(zip(PHYSICS, means, strict=True)),
        "seconds": seconds,
        **dict(zip(ERRORS, errors, strict=False)),  # no errors where there is no truth
    }


def _derangement(count: int, seed: int) -> Tensor:
    """An order in which nothing stays in its place: a random cycle."""
    cycle = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    order = torch.empty_like(cycle)
    order[cycle] = cycle.roll(1)
    return order


def _random_texts(samples: Sequence[Sample]) -> list[str]:
    """As many texts of as many words, drawn from all words of the samples: none says anything."""
    words = sorted({word for sample in samples for word in sample.text.split()})
    draw = random.Random(0)
    return [
        " ".join(draw.choice(words) for _ in sample.text.split()) or "motion" for sample in samples
    ]
