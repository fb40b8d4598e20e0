"""`motionmill train evaluator`: a data set and a recipe -> a run folder with a trained evaluator.

The run folder holds `config.yaml`, `metrics.jsonl`, checkpoints, and at the end `evaluator/` and `report.json`
(retrieval on the held-out splits).
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from motionmill.config import save_config
from motionmill.data.clip import Clip
from motionmill.data.loader import load_clips
from motionmill.data.wording.captions import mirror_caption
from motionmill.evaluation.config import EvaluatorRunConfig
from motionmill.evaluation.evaluator import TrainedEvaluator
from motionmill.evaluation.metrics import retrieval
from motionmill.evaluation.task import EvaluatorInTraining, EvaluatorTask, captions_of
from motionmill.evaluation.words import MiniLMWords
from motionmill.generator.text import MiniLM
from motionmill.generator.text_states import TextStates
from motionmill.tokenizer.train import fit_normalizer
from motionmill.training.loop import train
from motionmill.training.processes import main_first, main_process
from motionmill.training.progress import progress_bar
from motionmill.training.weights import write_text

_MIN_FRAMES = 12


def train_evaluator(
    config: EvaluatorRunConfig,
    data: Path,
    output: Path,
    *,
    device: torch.device | None = None,
    cache: Path | None = None,
    tensorboard: bool = False,
) -> Path:
    """Train, or go on with a run that was stopped; returns the run folder.

    Args:
        data: a data set of `motionmill data run`.
        cache: where text states are kept; `text-states` in the data set by default.
        tensorboard: write the numbers for TensorBoard too.

    Raises:
        FileNotFoundError, ValueError: no data set, or no clips in it.
    """
    clips = load_clips(data, commercial_only=config.data.commercial_only)
    training = [clip for clip in clips["train"] if len(clip) >= _MIN_FRAMES]
    output.mkdir(parents=True, exist_ok=True)
    if main_process():
        save_config(config, output / "config.yaml")
    states = TextStates(MiniLM, cache or data / "text-states")
    texts = {text for clip in training for text in captions_of(clip, config.data.captions_per_clip)}
    with main_first(device), progress_bar("captions") as progress:
        states.add([*texts, *map(mirror_caption, texts)], progress=progress)
        states.add([clip.captions[0] for clip in clips["val"]])
    normalizer = fit_normalizer(training)
    task = EvaluatorTask(
        config.model,
        config.data,
        config.losses,
        training,
        clips["val"],
        states,
        normalizer=normalizer,
        seed=config.training.seed,
    )
    model = train(task, config.training, output, device=device, tensorboard=tensorboard)
    if not main_process():
        return output
    assert isinstance(model, EvaluatorInTraining)
    result = TrainedEvaluator(model.evaluator.cpu().eval(), normalizer, MiniLMWords())
    result.save(output / "evaluator")
    report = {
        name: retrieval_report(result, clips[name])
        for name in ("val", "test", "test_pairs")
        if len(clips[name]) >= 32
    }
    write_text(output / "report.json", json.dumps(report, indent=2) + "\n")
    return output


def retrieval_report(evaluator: TrainedEvaluator, clips: list[Clip]) -> dict[str, float]:
    """R-precision and distance of real clips with their first captions, pools of 32 drawn with seed 0."""
    longest = evaluator.model.config.max_frames
    texts = evaluator.embed_texts([clip.captions[0] for clip in clips])
    motions = evaluator.embed_motions([clip.features[:longest] for clip in clips])
    found = retrieval(texts, motions, generator=torch.Generator().manual_seed(0))
    return {
        **{f"r_at_{k + 1}": value for k, value in enumerate(found.r_precision)},
        "mm_distance": found.mm_distance,
        "clips": float(len(clips)),
    }
