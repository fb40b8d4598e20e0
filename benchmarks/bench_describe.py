"""Descriptions of labelled motion capture: how often they say the label's words, how often others, and how fast.

python benchmarks/bench_describe.py ../shared/data/bandai -o benchmarks/results/describe.json
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from host import host

from motionmill.data.describing.description import describe
from motionmill.formats.packed import read_folder
from motionmill.motion.motion import Motion, concatenate
from motionmill.motion.retarget import retarget

_HAND = r"(?:hand|arm)s?"
_TURN = r"\bturn(?:s|ing)? (?:slightly |around )?(?:to the )?"
EXPECTED: dict[str, tuple[str, str]] = {
    # label: (what the sentence must say, what contradicts it)
    "walk": (r"\bwalks?\b|\bwalking\b", r"\bbackward|\bruns?\b|\brunning\b"),
    "run": (r"\bruns?\b|\brunning\b", r"\bbackward|\bwalks?\b|\bwalking\b"),
    "walk-back": (r"\bwalk(?:s|ing)\b[^,]*\bbackward", r"\bforward\b(?! by)"),
    "walk-turn-left": (rf"\bwalk.*{_TURN}left", rf"{_TURN}right|\bbackward"),
    "walk-turn-right": (rf"\bwalk.*{_TURN}right", rf"{_TURN}left|\bbackward"),
    "raise-up-left-hand": (
        rf"\b(?:raises|raising)\b[^,]*\bleft {_HAND}", rf"\b(?:rais|wav|hold)\w* (?:the right|both) {_HAND}",
    ),
    "raise-up-right-hand": (
        rf"\b(?:raises|raising)\b[^,]*\bright {_HAND}", rf"\b(?:rais|wav|hold)\w* (?:the left|both) {_HAND}",
    ),
    "raise-up-both-hands": (
        rf"\b(?:raises|raising)\b[^,]*\bboth {_HAND}", rf"\b(?:rais|wav)\w* the (?:left|right) {_HAND}",
    ),
    "wave-left-hand": (
        rf"\bwav(?:es|ing)\b[^,]*\bleft {_HAND}", rf"\b(?:rais|wav)\w* (?:the right|both) {_HAND}",
    ),
    "wave-right-hand": (
        rf"\bwav(?:es|ing)\b[^,]*\bright {_HAND}", rf"\b(?:rais|wav)\w* (?:the left|both) {_HAND}",
    ),
    "wave-both-hands": (
        rf"\bwav(?:es|ing)\b[^,]*\bboth {_HAND}", rf"\b(?:rais|wav)\w* the (?:left|right) {_HAND}",
    ),
    "bow": (r"\bbow", r"\bbackward|\bsits?\b|\blies\b"),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="the packed Bandai Namco clips")
    parser.add_argument(
        "--every", type=int, default=1, help="take every so many-th clip of a class"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    motions = labelled(arguments.folder, arguments.every)
    result = {
        "host": host(),
        "asked": {
            "says the label, %": ">= 90",
            "contradicts it, %": "<= 5",
            "ms a ten-second clip": "< 8",
        },
        "classes": [class_row(label, motions[label]) for label in EXPECTED],
        "speed": speed(motions, arguments.repeats),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


def labelled(folder: Path, every: int) -> dict[str, list[tuple[str, Motion]]]:
    """Clips of every label that is judged, on our skeleton."""
    clips = defaultdict(list)
    for clip in read_folder(folder):
        if clip.manifest["content"] in EXPECTED:
            clips[clip.manifest["content"]].append(clip)
    return {
        label: [(clip.id, retarget(clip.motion())) for clip in found[::every]]
        for label, found in clips.items()
    }


def class_row(label: str, motions: list[tuple[str, Motion]]) -> dict[str, Any]:
    """How many descriptions say a label's words, and the clips whose descriptions do not or contradict it."""
    says, against = (re.compile(pattern) for pattern in EXPECTED[label])
    sentences = {name: describe(motion).sentence for name, motion in motions}
    silent = [name for name, text in sentences.items() if not says.search(text)]
    wrong = [name for name, text in sentences.items() if against.search(text)]
    count = len(sentences)
    return {
        "label": label,
        "clips": count,
        "says the label, %": round(100 * (1 - len(silent) / count), 1),
        "contradicts it, %": round(100 * len(wrong) / count, 1),
        "silent": {name: sentences[name] for name in silent[:12]},
        "contradicting": {name: sentences[name] for name in wrong[:12]},
    }


def speed(motions: dict[str, list[tuple[str, Motion]]], repeats: int) -> dict[str, Any]:
    """Milliseconds for ten-second clips made of several clips each, so that much happens in them."""
    mixed = concatenate([motions[label][0][1] for label in EXPECTED])
    clips = [mixed[start : start + 300] for start in range(0, len(mixed) - 300, 150)]
    for clip in clips:
        describe(clip)
    wall, processor = [], []
    for _ in range(repeats):
        begun, used = time.perf_counter(), time.process_time()
        for clip in clips:
            describe(clip)
        wall.append(1e3 * (time.perf_counter() - begun) / len(clips))
        processor.append(1e3 * (time.process_time() - used) / len(clips))
    return {
        "clips": len(clips),
        "ms a ten-second clip, median": round(statistics.median(wall), 2),
        "processor ms a ten-second clip, median": round(statistics.median(processor), 2),
        "ten-second clips a second, median": round(1e3 / statistics.median(wall), 1),
    }


if __name__ == "__main__":
    main()
