"""How long a user waits: the command cold, Python warm, help -> JSON with host facts, repeats and medians.

python benchmarks/bench_generate.py [MODEL] -o RESULTS.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from host import host

import motionmill
from motionmill.pipeline import TextToMotion

PROMPT = "a tired person walks forward"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", default="mini")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    pipeline = TextToMotion.from_pretrained(arguments.model)

    motion = pipeline(PROMPT, seconds=4)
    with tempfile.TemporaryDirectory() as folder:
        cases: dict[str, Callable[[], object]] = {
            "motionmill --help": lambda: command("--help"),
            "import motionmill": lambda: subprocess.run(
                [sys.executable, "-c", "import motionmill"], check=True
            ),
            "python start alone": lambda: subprocess.run(
                [sys.executable, "-c", "pass"], check=True
            ),
            "motionmill generate to .glb, cold": lambda: command(
                "generate",
                PROMPT,
                "--seconds",
                "4",
                "--model",
                arguments.model,
                "-o",
                f"{folder}/x.glb",
            ),
            "Python, warm, 4 s of motion": lambda: pipeline(PROMPT, seconds=4),
            "Python, warm, 4 s, without clean-up": lambda: pipeline(PROMPT, seconds=4, cleanup=0),
            "save .glb": lambda: motionmill.save(motion, f"{folder}/y.glb"),
        }
        seconds = {name: times(case, arguments.repeats) for name, case in cases.items()}
    result = {
        "host": host(),
        "seconds": {
            name: {
                "median": round(statistics.median(values), 3),
                "all": [round(value, 3) for value in values],
            }
            for name, values in seconds.items()
        },
    }
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


def command(*words: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "motionmill", *words], check=True, stdout=subprocess.DEVNULL
    )


def times(case: Callable[[], object], repeats: int) -> list[float]:
    case()  # file caches, first-call work
    values = []
    for _ in range(repeats):
        started = time.perf_counter()
        case()
        values.append(time.perf_counter() - started)
    return values


if __name__ == "__main__":
    main()
