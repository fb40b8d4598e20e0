"""Our tokenizer with official weights gives the official latents, codes and reconstructions."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from motionmill.generator.official import OFFICIAL_TOKENIZER, tokenizer_name
from motionmill.motion.features import Normalizer
from motionmill.tokenizer.config import TokenizerConfig, TokenizerLossConfig
from motionmill.tokenizer.fsq import FSQ
from motionmill.tokenizer.model import Tokenizer
from motionmill.tokenizer.task import Window, reconstruction_losses
from motionmill.tokenizer.wavelet import haar, inverse_haar
from tests.generator.test_official import recipe


def load(shared: Path, name: str) -> Any:
    return torch.load(shared / "fixtures" / name, weights_only=True)


def converted(state: dict[str, Any], config: TokenizerConfig) -> dict[str, Tensor]:
    """An official state under our names, as `import-official` finds them."""
    named = {tokenizer_name(key, state, config): value for key, value in state.items()}
    return {name: torch.as_tensor(value) for name, value in named.items() if name is not None}


def official_model(shared: Path, variant: str, config: TokenizerConfig) -> Tokenizer:
    state = load(shared, f"tokenizer_small_{variant}_ckpt.pt")["net"]
    model = Tokenizer(config)
    model.load_state_dict(converted(state, config))
    return model.eval()


@pytest.fixture(scope="module")
def recorded(shared: Path) -> Any:
    return load(shared, "tokenizer_small_io.pt")


SMALL = {
    "width": 64,
    "code_width": 32,
    "levels": (8, 8, 8, 5, 5, 5),
    "num_downsamples": 1,
    "depth": 3,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "official_like": {},
    "causal": {"causal_encoder": True},
    "no_patcher": {},
    "no_norm_gelu_k5": {"norm": "none", "activation": "gelu", "kernel_size": 5},
    "gn_silu_down2": {"norm": "group", "activation": "silu", "num_downsamples": 2},
}


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_parity(shared: Path, recorded: Any, variant: str) -> None:
    switches = {"causal_encoder": False, **SMALL, **VARIANTS[variant]}
    config = TokenizerConfig(**switches, causal_decoder=variant == "causal")
    model = official_model(shared, variant, config)
    for case in recorded[variant]["io"].values():
        x = case["x"]
        latent = model.encoder(x)
        assert (latent.transpose(1, 2) - case["latent"]).abs().max() < 1e-4
        vectors = model.project_in(latent)
        assert (vectors - case["fsq_in"]).abs().max() < 1e-4
        bounded = model.quantizer.bound(vectors)
        assert (bounded - case["x_bound"]).abs().max() < 1e-4
        codes = model.project_out(model.quantizer(vectors)).transpose(1, 2)
        assert (codes - case["quantized"]).abs().max() < 1e-4
        assert torch.equal(model.encode(x).int(), case["encode"].int())
        assert torch.equal(model.encode(x).int(), case["indices"].reshape(len(x), -1).int())
        made = model(x)
        assert (made.features - case["recon"]).abs().max() < 1e-4
        assert (
            model.decode(case["indices"][:1].reshape(1, -1)) - case["forward_decoder"]
        ).abs().max() < 1e-4


@torch.no_grad()
def test_the_official_size(shared: Path) -> None:
    case = load(shared, "tokenizer_official_io.pt")
    state = recipe(shared).state_dict(case["shapes"], case["seed"])
    for name, (total, absolute) in case["checksums"].items():
        values = torch.as_tensor(state[name]).double()
        assert float(values.sum()) == pytest.approx(total, abs=1e-6)
        assert float(values.abs().sum()) == pytest.approx(absolute, rel=1e-9)
    model = Tokenizer(OFFICIAL_TOKENIZER).eval()
    model.load_state_dict(converted(state, OFFICIAL_TOKENIZER))
    latent = model.encoder(case["x"])
    # It is stored in half, whose own rounding passes the 2e-3 of the README where a latent is above 4.
    stored = case["latent"].float()
    assert ((latent.transpose(1, 2) - stored).abs() <= 1e-4 + stored.abs() * 2**-11).all()
    vectors = model.project_in(latent)
    assert (vectors - case["fsq_in"]).abs().max() < 1e-4
    assert (model.quantizer.bound(vectors) - case["x_bound"]).abs().max() < 1e-4
    assert torch.equal(model.encode(case["x"]).int(), case["encode"])
    assert (model(case["x"]).features - case["recon"]).abs().max() < 1e-4
    assert (model.decode(case["indices"]) - case["forward_decoder"]).abs().max() < 1e-4


def test_a_training_step(shared: Path) -> None:
    """Losses and gradients of the paper's training, which our losses hold with these weights."""
    case = load(shared, "tokenizer_train_step.pt")
    config = TokenizerConfig(**SMALL, causal_encoder=False, causal_decoder=False)
    model = official_model(shared, "official_like", config).train()
    target = case["x"]
    made = model(target).features
    window = Window(target, torch.ones(target.shape[:2], dtype=torch.bool), 1)
    normalizer = Normalizer(torch.zeros(272), torch.ones(272))
    values = reconstruction_losses(made, target, window, normalizer)
    names = {
        "recons": "all",
        "vel": "positions",
        "root": "root",
        "acc": "position_change",
        "acc_vel": "position_acceleration",
    }
    for theirs, our in names.items():
        assert values[our].item() == pytest.approx(case["losses"][theirs], rel=1e-4), theirs
    zero = dict.fromkeys(("root", "feet", "range", "path", "body", "contact"), 0.0)
    weights = TokenizerLossConfig.model_validate({**zero, "all": 1.0, "positions": 0.5})
    shares = weights.at_step(1)
    total = sum((shares[name] * value for name, value in values.items()), torch.tensor(0.0))
    assert total.item() == pytest.approx(case["total"], rel=1e-4)
    total.backward()
    keys = load(shared, "tokenizer_small_official_like_ckpt.pt")["net"]
    parameters = dict(model.named_parameters())
    checked = 0
    for name, norm in case["grad_norm"].items():
        our_name = tokenizer_name(f"module.{name}", keys, config)
        gradient = parameters.pop(str(our_name)).grad
        assert gradient is not None
        assert float(gradient.norm()) == pytest.approx(norm, rel=1e-3), name
        if name in case["grads"]:
            checked += 1
            assert torch.allclose(gradient, case["grads"][name], rtol=1e-3, atol=1e-6), name
    assert not parameters
    assert checked == 3


def test_fsq(shared: Path) -> None:
    cases = load(shared, "fsq.pt")
    projected = cases.pop("with_projection")
    assert len(cases) == 7
    for case in cases.values():
        quantizer = FSQ([int(level) for level in case["levels"]])
        z = case["z"]
        assert torch.equal(quantizer.basis.int(), case["basis"])
        assert torch.allclose(quantizer.bound(z), case["bound"], atol=1e-6)
        safe = case["margin"] > 1e-5
        assert (~safe).sum() <= 1 + int((case["margin"][-19:] <= 1e-5).sum())
        codes = quantizer(z)
        indices = quantizer.codes_to_indices(codes)
        assert torch.equal(codes[safe], case["codes"][safe])
        assert torch.equal(indices[safe].int(), case["indices"][safe])
        assert torch.equal(quantizer.indices_to_codes(case["indices"].long()), case["dequant"])
        assert torch.equal(quantizer.indices_to_codes(case["some_idx"]), case["some_codes"])
        everything = quantizer.indices_to_codes(torch.arange(quantizer.num_codes)).contiguous()
        digest = hashlib.sha256(everything.numpy().tobytes()).hexdigest()
        assert digest == case["all_codes_sha256"]
        grad_in = case["grad_in"].clone().requires_grad_()
        (quantizer(grad_in) * torch.arange(1, len(case["levels"]) + 1)).sum().backward()
        assert grad_in.grad is not None
        assert torch.allclose(grad_in.grad, case["grad"], rtol=1e-3, atol=1e-6)
    with_projections(projected)


@torch.no_grad()
def with_projections(case: Any) -> None:
    model = Tokenizer(TokenizerConfig(**{**SMALL, "width": 32}))
    for name, value in case["state_dict"].items():
        model.get_parameter(name).copy_(value)
    codes = model.quantizer(model.project_in(case["z"].transpose(1, 2)))
    assert torch.equal(model.quantizer.codes_to_indices(codes).int(), case["indices"])
    assert torch.allclose(model.project_out(codes).transpose(1, 2), case["out"], atol=1e-5)
    again = model.project_out(model.quantizer.indices_to_codes(case["indices"].long()))
    assert torch.allclose(again, case["dequantize"], atol=1e-5)


def test_haar(shared: Path) -> None:
    cases = load(shared, "haar.pt")
    checked = 0
    for name, case in cases.items():
        if "rearrange" in name or not isinstance(case, dict):
            continue
        patch = int(name[1 : name.index("_")])
        made: Tensor = haar(case["x"], patch)
        assert torch.allclose(made, case["y"], atol=1e-6)
        assert torch.allclose(inverse_haar(case["y"], patch), case["x_back"], atol=1e-6)
        checked += 1
    assert checked == 9
