"""The judge of content and style: padding does not matter, sides are mirrored, it learns, held-out takes stay out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from motionmill.data.config import DataConfig, HeldOutPair, LabelConfig, SplitConfig
from motionmill.data.engine.build import build
from motionmill.evaluation.recognition import (
    Judge,
    JudgeConfig,
    TrainedJudge,
    Verdict,
    _mirrored_contents,
    accuracy,
    judged_clips,
    train_judge,
    truth,
)
from motionmill.motion.features import Normalizer
from motionmill.training.config import TrainingConfig
from tests.data.engine.test_build import subset

CONFIG = JudgeConfig(contents=("run", "walk"), styles=("active", "normal", "tired"), width=16)


def judge() -> TrainedJudge:
    torch.manual_seed(0)
    normalizer = Normalizer(torch.zeros(272).double(), torch.ones(272).double())
    return TrainedJudge(Judge(CONFIG).eval(), normalizer)


def test_a_verdict_does_not_depend_on_the_batch() -> None:
    draw = torch.Generator().manual_seed(0)
    motions = [torch.randn(length, 272, generator=draw) for length in (20, 33, 90, 64)]
    assert judge()(motions) == [judge()([motion])[0] for motion in motions]


def test_save_and_load(tmp_path: Path) -> None:
    motion = torch.randn(50, 272)
    judge().save(tmp_path)
    assert TrainedJudge.load(tmp_path)([motion]) == judge()([motion])


def test_accuracy() -> None:
    real = [
        Verdict("run", "tired"),
        Verdict("walk", "tired"),
        Verdict("run", "normal"),
        Verdict("run", "active"),
    ]
    made = [
        Verdict("run", "tired"),
        Verdict("run", "tired"),
        Verdict("run", "active"),
        Verdict("walk", "tired"),
    ]
    assert accuracy(made, real) == {"content": 0.5, "style": 0.5, "both": 0.25, "count": 4.0}


def test_mirrored_contents() -> None:
    contents = ("wave-left-hand", "wave-right-hand", "run", "raise-left-hand")
    assert _mirrored_contents(contents) == {
        "wave-left-hand": "wave-right-hand",
        "wave-right-hand": "wave-left-hand",
        "run": "run",
    }


@pytest.fixture(scope="module")
def dataset(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judge")
    config = DataConfig(
        labels=LabelConfig(captions=1),
        splits=SplitConfig(
            test_fraction=0.2,
            held_out_pairs=(HeldOutPair(content="bow", style="angry", split="test_pairs"),),
        ),
    )
    build([subset(shared, "bandai", 48, folder)], folder / "dataset", config)
    return folder / "dataset"


def test_it_learns_from_real_clips_and_never_sees_held_out_takes(
    dataset: Path, tmp_path: Path
) -> None:
    clips = judged_clips(dataset)
    groups = [{clip.group for clip in part} for part in clips]
    assert clips.takes
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    training = TrainingConfig(steps=40, learning_rate=3e-3, warmup_steps=5, precision="fp32")
    trained = train_judge(dataset, tmp_path, training)
    found = accuracy(
        trained([clip.features for clip in clips.train]), [truth(clip) for clip in clips.train]
    )
    assert found["content"] > 0.8
