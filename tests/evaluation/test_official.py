"""Official evaluator checkpoints give the official embeddings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from motionmill.evaluation.config import EvaluatorConfig
from motionmill.evaluation.evaluator import Evaluator, TrainedEvaluator
from motionmill.evaluation.official import DistilBert, _our_name, load_official_evaluator
from motionmill.generator.ranker import pad_right
from motionmill.motion.features import NUM_FEATURES, Normalizer
from tests.generator.test_official import recipe

SAME = Normalizer(torch.zeros(NUM_FEATURES), torch.ones(NUM_FEATURES))


def load(shared: Path, name: str) -> Any:
    return torch.load(shared / "fixtures" / name, weights_only=True)


@pytest.fixture(scope="module")
def small(shared: Path) -> TrainedEvaluator:
    return load_official_evaluator(
        shared / "fixtures" / "evaluator_small_ckpt.pt", SAME, num_heads=4, num_word_heads=4
    )


def test_motion_embeddings(shared: Path, small: TrainedEvaluator) -> None:
    """Of motions cut to their length: the official padding to 300 frames changes nothing."""
    recorded = load(shared, "evaluator_small_io.pt")
    motions = [
        motion[: int(length)]
        for motion, length in zip(recorded["motions_norm"], recorded["lengths"], strict=True)
    ]
    assert torch.allclose(small.embed_motions(motions), recorded["motion_mu"], atol=2e-6)
    features, mask = pad_right(motions)
    with torch.inference_mode():
        deviation = (small.model.motion(features, mask).log_variance / 2).exp()
    assert torch.allclose(deviation, recorded["motion_std"], atol=2e-6)


def test_text_embeddings(shared: Path, small: TrainedEvaluator) -> None:
    recorded = load(shared, "evaluator_small_io.pt")
    assert isinstance(small.words, DistilBert)
    states = small.words.states(recorded["input_ids"], recorded["attention_mask"])
    for made, hidden in zip(states, recorded["text_hidden"], strict=True):
        assert torch.allclose(made, hidden[: len(made)], atol=2e-6)
    padded, mask = pad_right(states)
    with torch.inference_mode():
        made = small.model.text(padded, mask)
    assert torch.allclose(made.mean, recorded["text_mu"], atol=2e-6)
    assert torch.allclose((made.log_variance / 2).exp(), recorded["text_std"], atol=2e-6)


def test_the_official_size(shared: Path) -> None:
    """Every name and shape is known; motions of recipe weights are embedded as recorded."""
    shapes = json.loads((shared / "fixtures" / "evaluator_official_shapes.json").read_text())
    model = Evaluator(EvaluatorConfig()).eval()
    expected = {key: list(value.shape) for key, value in model.state_dict().items()}
    named = {
        _our_name(f"{part}.{key}"): shape
        for part, names in shapes.items()
        for key, shape in names.items()
        if not key.startswith("text_model.") and not key.endswith(".pe")
    }
    assert named == expected

    recorded = load(shared, "evaluator_official_motion_io.pt")
    draw = recipe(shared)
    state = {}
    for key, shape in recorded["shapes"].items():
        if key.endswith(".pe"):
            continue
        scale, offset = _rule(key, shape)
        numbers = draw.draw(key, shape, recorded["recipe_seed"], scale, offset)
        state[_our_name(f"motionencoder.{key}").removeprefix("motion.")] = torch.from_numpy(numbers)
    model.motion.load_state_dict(state)
    lengths = recorded["lengths"].tolist()
    motions = [
        x[:length].float() for x, length in zip(recorded["motions_norm"], lengths, strict=True)
    ]
    words = load_official_words(shared)
    made = TrainedEvaluator(model, SAME, words).embed_motions(motions)
    assert torch.allclose(made, recorded["motion_mu_from_half"], atol=2e-5)


def load_official_words(shared: Path) -> DistilBert:
    small = load_official_evaluator(
        shared / "fixtures" / "evaluator_small_ckpt.pt", SAME, num_word_heads=4
    )
    assert isinstance(small.words, DistilBert)
    return small.words


def _rule(key: str, shape: list[int]) -> tuple[float, float]:
    """The fixture's note: scales and offsets of its recipe weights."""
    if ".norm" in key and key.endswith("weight"):
        return 0.1, 1.0
    if key.endswith("token"):
        return 1.0, 0.0
    if len(shape) == 2:
        return 1.2 / shape[1] ** 0.5, 0.0
    return 0.05, 0.0


def test_another_checkpoint_is_named(shared: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_official_evaluator(tmp_path / "none.ckpt", SAME)
    with pytest.raises(ValueError, match="'state_dict'"):
        load_official_evaluator(shared / "fixtures" / "tokenizer_small_no_patcher_ckpt.pt", SAME)
    path = tmp_path / "cut.ckpt"
    content = load(shared, "evaluator_small_ckpt.pt")
    del content["state_dict"]["textencoder.mu_token"]
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"text\.mean_token"):
        load_official_evaluator(path, SAME, num_word_heads=4)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match="expected a checkpoint"):
        load_official_evaluator(path, SAME)


def test_a_saved_evaluator_is_the_same(
    shared: Path, small: TrainedEvaluator, tmp_path: Path
) -> None:
    small.save(tmp_path)
    again = TrainedEvaluator.load(tmp_path, small.words)
    assert again.version == small.version
    motions = [torch.randn(40, NUM_FEATURES, generator=torch.Generator().manual_seed(0))]
    assert torch.equal(again.embed_motions(motions), small.embed_motions(motions))
    other = TrainedEvaluator(small.model, Normalizer(SAME.mean, SAME.std * 2), small.words)
    assert other.version != small.version
    with pytest.raises(ValueError, match="500 frames; expected 1 to 300"):
        small.embed_motions([torch.zeros(500, NUM_FEATURES)])
