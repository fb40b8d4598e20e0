"""Two prompts in a row -> is the second one done, by how much of the first part the model is told of?

python benchmarks/bench_timeline.py JUDGE -o benchmarks/results/timeline.json

JUDGE is a classifier of contents from `benchmarks/train_judge.py`. It is shown the frames of the second part alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from host import host

from motionmill.evaluation.recognition import TrainedJudge
from motionmill.generator import text_to_tokens
from motionmill.pipeline import DEFAULT_MODEL, TextToMotion

PROMPTS = {
    "walk": "a person walks forward",
    "run": "a person runs",
    "wave-right-hand": "a person waves with the right hand",
    "bow": "a person bows",
    "kick": "someone kicks",
    "punch": "a person punches",
    "raise-up-left-hand": "a person raises the left hand",
    "walk-back": "a person walks backward",
}
PAIRS = (
    ("walk", "wave-right-hand"),
    ("walk", "bow"),
    ("walk", "kick"),
    ("wave-right-hand", "walk"),
    ("bow", "run"),
    ("walk", "raise-up-left-hand"),
    ("punch", "walk"),
    ("run", "punch"),
    ("kick", "walk-back"),
)
PART_SECONDS = 2.5
HISTORIES = (5.0, 2.0, 1.0, 0.5, 0.25)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("judge", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    judge = TrainedJudge.load(arguments.judge)
    pipeline = TextToMotion.from_pretrained(arguments.model, device="cpu")
    used = text_to_tokens.HISTORY_SECONDS
    rows = []
    for seconds in HISTORIES:
        text_to_tokens.HISTORY_SECONDS = seconds
        rows.append(report(pipeline, judge, arguments.seeds) | {"history, seconds": seconds})
    result = {"host": host(), "model": arguments.model, "used, seconds": used, "rows": rows}
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


@torch.inference_mode()
def report(pipeline: TextToMotion, judge: TrainedJudge, num_seeds: int) -> dict[str, float]:
    """How often the second part shows the second prompt, and how often still the first."""
    second = first = 0
    length = pipeline.tokens.count(PART_SECONDS)
    for before, after in PAIRS:
        for seed in range(num_seeds):
            start = pipeline.tokens([PROMPTS[before]], [length], [seed])[0]
            then = pipeline.tokens([PROMPTS[after]], [length], [seed + 50], history=start)[0]
            features = pipeline.tokens.decode(torch.cat((start, then)))
            known = len(start) * pipeline.release.codec.frames_per_token
            seen = judge([features[known:].float()])[0].content
            second += seen.startswith(after)
            first += seen.startswith(before)
    count = len(PAIRS) * num_seeds
    return {
        "timelines": count,
        "second prompt, percent": round(100 * second / count, 1),
        "still the first, percent": round(100 * first / count, 1),
    }


if __name__ == "__main__":
    main()
