"""Adapters: they change nothing before they learn, merge into what they are beside, and travel in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from motionmill.cli import main
from motionmill.config import load_recipe
from motionmill.generator.config import FinetuneConfig, GeneratorConfig, LoraConfig, preset
from motionmill.generator.lora import add_adapters, load_adapters, merge_adapters, save_adapters
from motionmill.generator.model import Generator, Prefix
from motionmill.generator.plan import finetune_memory, fitting
from motionmill.generator.release import load_release
from motionmill.training.average import Average

pytest.importorskip("peft")

CONFIG = GeneratorConfig(num_codes=20, num_layers=2, num_heads=2, width=32, text_width=8)


def made() -> Generator:
    torch.manual_seed(0)
    return Generator(CONFIG).eval()


def logits(model: Generator) -> Tensor:
    states = torch.randn(1, 3, 8, generator=torch.Generator().manual_seed(1))
    prefix = Prefix(states, torch.ones(1, 3, dtype=torch.bool), torch.zeros(1, dtype=torch.long))
    return model(prefix, torch.tensor([[1, 2, 3, 4]]))


def trained() -> Generator:
    """Adapters that are not zero any more."""
    model = add_adapters(made(), LoraConfig(rank=4)).eval()
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=draw))
    return model


def test_only_adapters_learn_and_they_begin_at_nothing() -> None:
    model = add_adapters(made(), LoraConfig(rank=4)).eval()
    assert torch.equal(logits(model), logits(made()))
    learning = [name for name, p in model.named_parameters() if p.requires_grad]
    assert learning
    assert all("lora_" in name for name in learning)
    # Two matrices of attention and three of the feed-forward in each of two blocks, and the head.
    assert len(learning) == 2 * (2 * 5 + 1)


def test_merged_they_are_the_same_model(tmp_path: Path) -> None:
    model = trained()
    expected = logits(model)
    assert (expected - logits(made())).abs().max() > 0.1
    save_adapters(model, LoraConfig(rank=4), tmp_path)
    merge_adapters(model)
    assert model.state_dict().keys() == made().state_dict().keys()
    assert (logits(model) - expected).abs().max() < 1e-5
    again = load_adapters(made(), tmp_path).eval()
    assert (logits(again) - expected).abs().max() < 1e-6


def test_adapters_of_another_model(tmp_path: Path) -> None:
    save_adapters(trained(), LoraConfig(rank=4), tmp_path)
    other = Generator(CONFIG.model_copy(update={"width": 64}))
    with pytest.raises(ValueError, match="an adapter of another model"):
        load_adapters(other, tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no adapter"):
        load_adapters(made(), tmp_path / "nothing")


def test_the_1b_preset_is_tuned_on_8_gib() -> None:
    """The formula is compared with what is measured by `bench_training.py --only tuning`."""
    model, config = preset("1B"), load_recipe(FinetuneConfig, "finetune")
    small, large = fitting(config, model, 8 * 2**30), fitting(config, model, 80 * 2**30)
    assert small.training.parallel.checkpoint_activations
    assert large == config
    assert finetune_memory(model, small, recompute=True) < 0.9 * 8 * 2**30


def test_what_is_frozen_is_neither_averaged_nor_copied() -> None:
    model = add_adapters(made().bfloat16(), LoraConfig(rank=4))
    average = Average(model, 0.9)
    assert average.values
    assert all("lora_" in name for name in average.values)
    assert {value.dtype for value in average.values.values()} == {torch.float32}


def test_own_clips_through_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    import motionmill

    clips = tmp_path / "clips"
    clips.mkdir()
    waves = motionmill.TextToMotion.from_pretrained().generate(["a person waves"] * 3, seconds=2)
    for number, motion in enumerate(waves):
        motionmill.save(motion, clips / f"own-{number}.bvh")
        (clips / f"own-{number}.txt").write_text("a person does the zigzag\n", encoding="utf-8")
    (clips / "own-2.txt").unlink()
    recipe = tmp_path / "quick.yaml"
    recipe.write_text(
        "data: {batch_size: 4, start_offsets: [0]}\nprompts: [a person walks]\nmotions_a_prompt: 2\n"
        "training: {steps: 3, log_every: 1, evaluate_every: 3, precision: fp32}\n"
        "ranker_training: {steps: 2, log_every: 1, evaluate_every: 2, precision: fp32}\n",
        encoding="utf-8",
    )
    tuned = tmp_path / "tuned"
    words = ["finetune", "mini", "--data", str(clips), "-o", str(tuned), "--recipe", str(recipe)]
    assert main(words) == 0
    assert capsys.readouterr().out.strip() == str(tuned / "release")
    assert "1 of 3 clips came without a caption" in caplog.text
    assert "own-2" in caplog.text
    release = load_release(tuned / "release")
    assert release.config.name == "mini-tuned"
    before = load_release("mini").generator
    assert release.generator.state_dict().keys() == before.state_dict().keys()
    merged = tmp_path / "merged"
    assert main(["finetune", "mini", "--adapter", str(tuned / "adapter"), "-o", str(merged)]) == 0
    again = load_release(merged)
    one, two = (x.generator.head.weight for x in (release, again))
    assert (one - two).abs().max() < 2e-3  # stored as float16
    one, two, old = (
        x.ranker.model.text_output.weight for x in (release, again, load_release("mini"))
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, old)  # the ranker has learnt too, and goes with the adapter
    assert main(["finetune", "mini", "-o", str(merged)]) == 2
    assert "--data" in capsys.readouterr().err
