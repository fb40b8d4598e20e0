"""Videos of people, and motion capture beside them -> a captioned data set, and what became of every clip.

python examples/03_video_to_dataset.py VIDEOS_OR_MOCAP DATASET
"""

import sys
from collections import Counter
from pathlib import Path

from motionmill.config import load_recipe
from motionmill.data.config import DataConfig
from motionmill.data.engine.build import build
from motionmill.data.engine.pack import read_rejects
from motionmill.data.engine.pool import ProcessPool
from motionmill.data.loader import load_clips

if __name__ == "__main__":  # workers import this file
    source, dataset = map(Path, sys.argv[1:])
    config = load_recipe(DataConfig, "data-video")
    summary = build([source], dataset, config, executor=ProcessPool(2))
    print(f"{summary.kept} clips kept, {summary.rejected} rejected; {dataset / 'README.md'}")
    for (stage, reason), count in Counter(
        (reject.stage, reject.reason) for reject in read_rejects(dataset)
    ).most_common():
        print(f"{count:6}  {stage}: {reason}")
    if summary.kept:
        for split, clips in load_clips(dataset).items():
            for clip in clips[:3]:
                print(f"{split}: {clip.id}, {len(clip) / 30:.1f} s: {clip.captions[0]}")
