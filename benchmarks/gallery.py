"""A model's motions for the gallery prompts -> contact sheets to look at, one GIF, and the motions themselves.

python benchmarks/gallery.py MODEL -o FOLDER
"""

from __future__ import annotations

import argparse
import json
from importlib import resources
from pathlib import Path

import motionmill
from motionmill.formats.render import contact_sheet
from motionmill.pipeline import TextToMotion

ROWS = 9


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    prompts = resources.files("motionmill.evaluation").joinpath("prompts", "gallery.jsonl")
    rows = [json.loads(line) for line in prompts.read_text("utf-8").splitlines()]
    motions = TextToMotion.from_pretrained(arguments.model).generate(
        [row["prompt"] for row in rows]
    )
    for page, start in enumerate(range(0, len(rows), ROWS)):
        part = slice(start, start + ROWS)
        captions = [f"{row['prompt']} [{row['wording']}]" for row in rows[part]]
        contact_sheet(motions[part], captions, arguments.output / f"page-{page}.png")
    for row, motion in zip(rows, motions, strict=True):
        motionmill.save(motion, arguments.output / f"{row['id']}.npz")
    motionmill.save(motions[0], arguments.output / f"{rows[0]['id']}.gif")
    print(arguments.output)


if __name__ == "__main__":
    main()
