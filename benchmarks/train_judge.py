"""Train the judge of content and style on the real motion of a data set.

python benchmarks/train_judge.py DATASET -o RUN
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from motionmill.config import load_recipe
from motionmill.evaluation.recognition import accuracy, judged_clips, train_judge, truth
from motionmill.training.config import TrainingConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    judge = train_judge(arguments.data, arguments.output, load_recipe(TrainingConfig, "judge"))
    clips = judged_clips(arguments.data)
    result = {
        name: accuracy(judge([clip.features for clip in part]), [truth(clip) for clip in part])
        for name, part in (
            ("held-out takes", clips.takes),
            ("unseen clips of held-out pairs", clips.pairs),
        )
    }
    (arguments.output / "results.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
