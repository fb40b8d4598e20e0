"""The parts of the official generator and of its training: rotary table, logits, gradients, packed rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.generator.cache import KeyValueCache
from motionmill.generator.config import GeneratorDataConfig, official_config
from motionmill.generator.model import Generator, Prefix
from motionmill.generator.official import generator_name
from motionmill.generator.rotary import rotary_table, rotate
from motionmill.generator.task import Example, GeneratorTask
from motionmill.generator.text import pad_left
from motionmill.generator.text_states import TextStates
from motionmill.training.config import TrainingConfig
from motionmill.training.optim import learning_rate
from tests.generator.test_official import OFFICIAL_TINY, greedy, load, recipe, text_of

LENGTHS = (9, 17, 4)


@pytest.fixture(scope="module")
def recorded(shared: Path) -> Any:
    return load(shared, "ar_tiny_io.pt")


@pytest.fixture
def tiny(shared: Path) -> Generator:
    state = load(shared, "ar_tiny_ckpt.pt")["trans"]
    model = Generator(OFFICIAL_TINY)
    model.load_state_dict({generator_name(key): value for key, value in state.items()})
    return model


def test_rotary_positions(shared: Path) -> None:
    case = load(shared, "rope.pt")
    config = official_config(1, 2, 200)  # 100 numbers a head, as in 3B
    table = rotary_table(config, torch.arange(301)).flatten(
        1, -2
    )  # cosine and sine of every channel
    assert torch.allclose(table[:, 0, 0::2], case["cos"], atol=1e-6)
    assert torch.allclose(table[:, 0, 1::2], case["cos"], atol=1e-6)
    assert torch.allclose(table[:, 1, 0::2], -case["sin"], atol=1e-6)
    assert torch.allclose(table[:, 1, 1::2], case["sin"], atol=1e-6)
    heads = case["x"].permute(0, 2, 1, 3).unsqueeze(2)  # (B, S, one kind, H, C)
    turned = rotate(heads, rotary_table(config, case["pos"].expand(2, -1)))
    assert torch.allclose(turned[:, :, 0].transpose(1, 2), case["y"], atol=1e-6)


def rows_of(recorded: Any) -> tuple[Prefix, Tensor, Tensor]:
    """The packed training rows as we hold them: text on the left of its own tensor, tokens, targets."""
    states, mask = pad_left(
        [recorded["clip_feature"][row, :length] for row, length in enumerate(LENGTHS)]
    )
    parts = [recorded["idx"][row, length:] for row, length in enumerate(LENGTHS)]
    size = max(int((part != OFFICIAL_TINY.pad).sum()) for part in parts)
    targets = torch.stack([part[:size] for part in parts])
    tokens = targets[:, :-1]
    targets = torch.where(targets == OFFICIAL_TINY.pad, -100, targets)
    return Prefix(states, mask, torch.zeros(3, dtype=torch.long)), tokens, targets


def test_a_batch_of_rows(tiny: Generator, recorded: Any) -> None:
    """Logits, loss and gradients of a batch of texts and motions of different lengths."""
    prefix, tokens, targets = rows_of(recorded)
    logits = tiny(prefix, tokens)
    for row, length in enumerate(LENGTHS):
        known = int((targets[row] != -100).sum())
        ours, places = logits[row, :known], slice(length - 1, length - 1 + known)
        assert (ours - recorded["logits"][row, places]).abs().max() < 2e-4
        columns = ours[:, recorded["logit_cols"]]
        assert (columns - recorded["logits_cols"][row, places]).abs().max() < 2e-4
        assert (ours.logsumexp(-1) - recorded["logits_lse"][row, places]).abs().max() < 2e-4
        assert torch.equal(ours.argmax(-1), recorded["logits_argmax"][row, places])
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
    assert loss.item() == pytest.approx(float(recorded["ce_loss"]), abs=1e-4)
    loss.backward()
    parameters = dict(tiny.named_parameters())
    for name, norm in recorded["grad_norm"].items():
        gradient = parameters.pop(generator_name(name)).grad
        assert gradient is not None
        assert float(gradient.norm()) == pytest.approx(float(norm), rel=1e-3), name
    assert not parameters
    gradient = tiny.text_projection.bias.grad
    assert gradient is not None
    assert torch.allclose(gradient, recorded["grad_proj_bias"], rtol=1e-3, atol=1e-6)


@torch.no_grad()
def test_logits_while_sampling(tiny: Generator, recorded: Any) -> None:
    model, prefix, columns = tiny.eval(), text_of(recorded, 0), recorded["logit_cols"]
    cache = KeyValueCache(OFFICIAL_TINY, 1, 64)
    logits = model.prefill(prefix, cache)[:, columns]
    assert (logits - recorded["sample_logits_prefix_only"]).abs().max() < 2e-4
    for token in recorded["tokens"][0][:5].long():
        logits = model.step(token[None], cache)[:, columns]
    assert (logits - recorded["sample_logits_after_5"]).abs().max() < 2e-4
    padded = recorded["greedy"]["text0_padded_to_17"].flatten().tolist()
    assert greedy(model, prefix) == padded  # padding that a mask hides changes nothing


def test_recipe_weights_are_those_of_the_fixture(shared: Path, recorded: Any) -> None:
    weights = recipe(shared).state_dict(recorded["shapes"], recorded["recipe_seed"])
    stored = load(shared, "ar_tiny_ckpt.pt")["trans"]
    for name, (total, absolute) in recorded["checksums"].items():
        assert weights[name].sum(dtype="float64") == pytest.approx(total, abs=1e-6)
        assert abs(weights[name]).sum(dtype="float64") == pytest.approx(absolute, rel=1e-9)
        assert torch.equal(torch.from_numpy(weights[name]), stored[f"module.{name}"].float())


def test_packing(shared: Path) -> None:
    """What a row asks of the model: the same states, inputs and targets at the same places as in the official rows."""
    cases = load(shared, "data_and_schedule.pt")["packing"]
    config = official_config(1, 1, 2, text_width=2)
    task = GeneratorTask(
        config, GeneratorDataConfig(), [], [], TextStates(lambda: pytest.fail("encoded"))
    )
    assert len(cases) == 48
    for case in cases:
        codes = case["codes"].flatten().long()
        codes = {None: codes, "head": codes[1:], "tail": codes[:-1]}[case["dropped"]]
        text = min(case["text_len"], config.max_text)
        rows = task._rows([Example(codes, ("",), 1.0)], [torch.zeros(text, 2)], [0], None)
        theirs = case["tokens"].flatten().long()
        assert text == case["mask_sum"] == case["text_tokens_len"] == int(rows.prefix.mask.sum())
        assert len(codes) == case["m_tokens_len"] == int(rows.lengths[0])
        # Their logits at place p predict place p + 1; nothing is learnt where that is padding.
        asked = torch.where(theirs[1:] == config.pad, -100, theirs[1:])[text - 1 :]
        ours = F.pad(rows.targets[0], (0, len(asked) - rows.targets.shape[1]), value=-100)
        assert torch.equal(ours, asked)
        assert torch.equal(rows.tokens[0], theirs[text : text + len(codes)])
        assert bool((theirs[:text] == config.pad).all())


def test_schedule(shared: Path) -> None:
    case = load(shared, "data_and_schedule.pt")["schedule"]
    config = TrainingConfig(
        steps=case["total_iter"],
        learning_rate=case["lr"],
        warmup_steps=12_000,
        schedule="official",
    )
    rates = [learning_rate(int(step), config) for step in case["iters"]]
    assert rates == pytest.approx(case["lr_used_at_iter"].tolist(), rel=1e-9, abs=1e-15)
    assert learning_rate(228_000, config) == pytest.approx(0, abs=1e-15)
    assert learning_rate(239_999, config) > 3e-6  # it rises again, as theirs does
