"""How good a released model is: recognition, directions, lengths, feet -> JSON, and contact sheets to look at.

    python benchmarks/bench_quality.py MODEL --data DATASET --judge JUDGE --pairs test_pairs -o RESULTS

JUDGE is a run of benchmarks/train_judge.py. Settings are chosen on `--pairs val_pairs`; `test_pairs` is looked at once.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from host import host

from motionmill.data.clip import Clip
from motionmill.data.loader import load_clips
from motionmill.data.wording.captions import judge_classes, write_captions
from motionmill.evaluation.directions import follows
from motionmill.evaluation.recognition import TrainedJudge, Verdict, accuracy, truth
from motionmill.generator.config import SamplingConfig
from motionmill.motion import physics
from motionmill.motion.features import from_motion, to_motion
from motionmill.motion.motion import Motion
from motionmill.pipeline import TextToMotion
from motionmill.tokenizer.task import reconstruction_report

SECOND_SET = "Bandai-Namco-Research-Motiondataset-2"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--pairs", choices=("val_pairs", "test_pairs"), default="val_pairs")
    parser.add_argument("--samples", type=int, default=4, help="motions a pair")
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--candidates", type=int, help="motions that the ranker chooses among")
    parser.add_argument("--only", nargs="*", help="parts to measure")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()

    pipeline = TextToMotion.from_pretrained(arguments.model)
    given = {"temperature": arguments.temperature, "guidance": arguments.guidance}
    sampling = pipeline.release.config.sampling.changed(given)
    arguments.output.mkdir(parents=True, exist_ok=True)
    bench = Bench(pipeline, sampling, arguments)
    results: dict[str, Any] = {
        "model": arguments.model,
        "licence": pipeline.release.config.licence,
        "sampling": sampling.model_dump(),
        "candidates": arguments.candidates or pipeline.release.config.candidates,
        "host": host(),
    }
    parts = {
        "tokenizer": bench.tokenizer,
        "lengths": bench.lengths,
        "directions": bench.directions,
        "open_actions": bench.open_actions,
        "recognition": bench.recognition,
        "wordings": bench.wordings,
        "feet": bench.feet,
    }
    needs_data = {"tokenizer", "recognition", "wordings", "feet"}
    for name, part in parts.items():
        if arguments.only and name not in arguments.only:
            continue
        if name in needs_data and not (arguments.data and arguments.judge):
            continue
        started = time.monotonic()
        results[name] = part()
        results[name]["seconds"] = round(time.monotonic() - started, 1)
        print(json.dumps({name: results[name]}, indent=1), flush=True)
        (arguments.output / "results.json").write_text(json.dumps(results, indent=1) + "\n")


class Bench:
    """One model and the settings under which it is measured."""

    def __init__(
        self, pipeline: TextToMotion, sampling: SamplingConfig, arguments: argparse.Namespace
    ) -> None:
        self.pipeline, self.sampling, self.arguments = pipeline, sampling, arguments
        self.judge = TrainedJudge.load(arguments.judge / "judge") if arguments.judge else None
        splits = load_clips(arguments.data) if arguments.data else {}
        self.clips = {
            name: [clip for clip in clips if clip.provenance["published"] == SECOND_SET]
            for name, clips in splits.items()
        }
        self.made: list[Motion] = []
        self.made_pairs: list[Verdict] = []

    def generate(self, prompts: list[str]) -> list[Motion]:
        candidates = self.arguments.candidates
        return self.pipeline.generate(prompts, sampling=self.sampling, candidates=candidates)

    def tokenizer(self) -> dict[str, Any]:
        """Reconstruction of the held-out takes, and what the judge still sees in real clips after it."""
        codec = self.pipeline.release.codec
        takes = [clip for name in ("val", "test") for clip in self.clips[name]]
        report = reconstruction_report(
            codec.tokenizer, codec.normalizer, [clip.features for clip in takes]
        )
        assert self.judge is not None
        judged = {}
        for name, clips in (
            ("takes", takes),
            (self.arguments.pairs, self.clips[self.arguments.pairs]),
        ):
            made = [codec.decode(codec.encode(clip.features)).float() for clip in clips]
            groups: dict[Verdict, list[Verdict]] = defaultdict(list)
            for clip, verdict in zip(clips, self.judge(made), strict=True):
                groups[truth(clip)].append(verdict)
            rows = {real: accuracy(found, [real] * len(found)) for real, found in groups.items()}
            judged[name] = {
                key: mean([row[key] for row in rows.values()])
                for key in ("content", "style", "both")
            }
        return {**report.as_dict(), "judged_after_reconstruction_mean_over_pairs": judged}

    def lengths(self) -> dict[str, Any]:
        prompts = [row["prompt"] for row in prompts_of("free_length")]
        limit = self.pipeline.release.generator.config.max_tokens
        tokens = []
        for start in range(0, len(prompts), 32):
            part = prompts[start : start + 32]
            tokens += self.pipeline.tokens(
                part,
                [0] * len(part),
                list(range(start, start + len(part))),
                self.sampling,
                candidates=self.arguments.candidates,
            )
        seconds = sorted(
            len(row) * self.pipeline.release.codec.frames_per_token / 30 for row in tokens
        )
        ended = sum(len(row) < limit for row in tokens)
        return {
            "prompts": len(prompts),
            "ended_by_themselves": ended / len(prompts),
            "seconds_percentiles_5_50_95": [
                seconds[int(q * (len(seconds) - 1))] for q in (0.05, 0.5, 0.95)
            ],
        }

    def directions(self) -> dict[str, Any]:
        return self.follow(prompts_of("directions"))

    def follow(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        motions = self.generate([row["prompt"] for row in rows])
        kinds: dict[str, list[bool]] = defaultdict(list)
        wrong = []
        for row, motion in zip(rows, motions, strict=True):
            followed = follows(motion, row["expected"])
            for kind, value in row["expected"].items():
                kinds[f"{kind} {value}"].append(followed)
            if not followed:
                wrong.append(f"{row['prompt']} ({row['expected']})")
        right = len(rows) - len(wrong)
        return {
            "prompts": len(rows),
            "followed": right / len(rows),
            "by_kind": {name: f"{sum(hits)}/{len(hits)}" for name, hits in sorted(kinds.items())},
            "not_followed": wrong,
        }

    def open_actions(self) -> dict[str, Any]:
        rows = prompts_of("open")
        directed = [row for row in rows if row["expected"]]
        motions = self.generate([row["prompt"] for row in rows])
        actions: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for row, motion in zip(rows, motions, strict=True):
            actions[row["action"]].append((physics.foot_slide(motion), physics.floating(motion)))
        table: dict[str, dict[str, Any]] = {
            action: {
                "motions": len(values),
                "foot_slide_mm": round(sum(value[0] for value in values) / len(values), 2),
                "floating_percent": round(sum(value[1] for value in values) / len(values), 1),
            }
            for action, values in sorted(actions.items())
        }
        if self.judge is not None:  # it knows Bandai Namco's contents only
            for row, verdict in zip(rows, self.verdicts(motions), strict=True):
                judged = table[row["action"]].setdefault("judged_as", {})
                judged[verdict.content] = judged.get(verdict.content, 0) + 1
        return {**self.follow(directed), "actions": table}

    def recognition(self) -> dict[str, Any]:
        """Each pair's own captions, as training wrote them."""
        result: dict[str, Any] = {}
        for name in ("train", self.arguments.pairs):
            prompts, asked = self.pair_prompts(self.clips[name])
            motions = self.generate(prompts)
            self.made += motions
            self.made_pairs += asked
            verdicts = self.verdicts(motions)
            result[name] = accuracy(verdicts, asked)
            groups: dict[Verdict, list[Verdict]] = defaultdict(list)
            for verdict, real in zip(verdicts, asked, strict=True):
                groups[real].append(verdict)
            if name != "train":
                result[name]["by_pair"] = {
                    f"{real.content}, {real.style}": accuracy(made, [real] * len(made))
                    for real, made in sorted(groups.items())
                }
        return result

    def wordings(self) -> dict[str, Any]:
        rows = [row for row in prompts_of("wordings") if row.get("content")]
        known = {
            judge_classes(clip.content, clip.style)[0]
            for clips in self.clips.values()
            for clip in clips
        }
        result = {}
        for name, part in (
            (
                "second_set",
                [row for row in rows if judge_classes(row["content"], None)[0] in known],
            ),
            (
                "others",
                [row for row in rows if judge_classes(row["content"], None)[0] not in known],
            ),
        ):
            verdicts = self.verdicts(self.generate([row["prompt"] for row in part]))
            wrong, content, style, styled = [], 0, 0, 0
            for row, verdict in zip(part, verdicts, strict=True):
                expected, manner = judge_classes(row["content"], row["style"])
                content += verdict.content == expected
                if manner is not None:
                    styled += 1
                    style += verdict.style == manner
                if verdict.content != expected:
                    wrong.append(f"{row['prompt']}: {verdict.content} for {expected}")
            result[name] = {
                "prompts": len(part),
                "content": content / max(1, len(part)),
                "style": style / max(1, styled),
                "styled": styled,
                "wrong": wrong,
            }
        return result

    def feet(self) -> dict[str, Any]:
        """Foot slide of the recognition motions as written to file, against real clips of the same contents."""
        if not self.made:
            self.recognition()
        contents = {verdict.content for verdict in self.made_pairs}
        real: dict[str, list[float]] = defaultdict(list)
        for clips in self.clips.values():
            for clip in clips[::4]:
                content = judge_classes(clip.content, clip.style)[0]
                if content in contents:
                    real[str(content)].append(physics.foot_slide(to_motion(clip.features)))
        made: dict[str, list[float]] = defaultdict(list)
        for motion, verdict in zip(self.made, self.made_pairs, strict=True):
            made[verdict.content].append(physics.foot_slide(motion))
        rows = {
            name: {"real_mm": mean(real[name]), "generated_mm": mean(made[name])}
            for name in sorted(contents)
        }
        whole = {
            kind: mean([row[kind] for row in rows.values()]) for kind in ("real_mm", "generated_mm")
        }
        return {**whole, "ratio": whole["generated_mm"] / whole["real_mm"], "by_content": rows}

    def pair_prompts(self, clips: list[Clip]) -> tuple[list[str], list[Verdict]]:
        pairs: dict[Verdict, Clip] = {}
        for clip in clips:
            content, style = judge_classes(clip.content, clip.style)
            pairs.setdefault(Verdict(str(content), str(style)), clip)
        prompts, asked = [], []
        for pair, clip in sorted(pairs.items()):
            labels: Mapping[str, Any] = {
                "content": clip.content,
                "style": clip.style,
                "captions": [],
            }
            count = self.arguments.samples
            written = write_captions(
                labels, None, count=8 * count, source=clip.source, rng=random.Random(str(pair))
            )
            prompts += [text for text in written if names_style(text, pair.style, clip)][:count]
            asked += [pair] * (len(prompts) - len(asked))
        return prompts, asked

    def verdicts(self, motions: list[Motion]) -> list[Verdict]:
        assert self.judge is not None
        return self.judge([from_motion(motion).float() for motion in motions])


def names_style(text: str, style: str, clip: Clip) -> bool:
    """Whether a caption says the style at all: some leave it out on purpose. A neutral style needs no words."""
    if style == "normal":
        return True
    rng = random.Random(0)
    plain = {"content": clip.content, "style": "normal", "captions": []}
    neutral = {
        word for line in write_captions(plain, None, count=400, rng=rng) for word in words(line)
    }
    return any(word not in neutral for word in words(text))


def words(text: str) -> list[str]:
    return [word.strip(".,!?'\"").lower() for word in text.split()]


def prompts_of(name: str) -> list[dict[str, Any]]:
    text = (
        resources.files("motionmill.evaluation")
        .joinpath("prompts", f"{name}.jsonl")
        .read_text("utf-8")
    )
    return [json.loads(line) for line in text.splitlines()]


def mean(values: list[float]) -> float:
    return sum(values) / max(1, len(values))


if __name__ == "__main__":
    main()
