"""Our tokenizer with official weights gives the official latents, codes and reconstructions."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from motionmill.tokenizer.config import TokenizerConfig
from motionmill.tokenizer.fsq import FSQ
from motionmill.tokenizer.model import Tokenizer
from motionmill.tokenizer.wavelet import haar, inverse_haar


def ours(name: str, *, patcher: bool, causal: bool, stages: int) -> str | None:
    """The name of an official parameter in our model; None for buffers that we do not keep."""
    name = name.removeprefix("module.").removeprefix("vqvae.")
    if name.endswith(("wavelets", "_arange")):
        return None
    if causal:
        name = name.replace(".conv.weight", ".weight").replace(".conv.bias", ".bias")
    name = name.replace("quantizer.project_", "project_")
    shift = int(patcher)
    part, _, rest = name.partition(".model.")
    if part == "encoder":
        index, _, rest = rest.partition(".")
        place = int(index) - shift
        if place == 0:
            return f"encoder.input.{rest}"
        if "." not in rest:
            return f"encoder.output.{rest}"
        return f"encoder.downsamples.{place - 2}." + _stage(rest, blocks_at=1, conv_at=0, depth=3)
    if part == "decoder":
        index, _, rest = rest.partition(".")
        place = int(index)
        if place == 0:
            return f"decoder.input.{rest}"
        if rest.count(".") > 0:
            return f"decoder.upsamples.{place - 2}." + _stage(rest, blocks_at=0, conv_at=2, depth=3)
        return f"decoder.{'hidden' if place == 2 + stages else 'output'}.{rest}"
    return name


def _stage(rest: str, *, blocks_at: int, conv_at: int, depth: int) -> str:
    match = re.fullmatch(rf"{blocks_at}\.model\.(\d+)\.(.+)", rest)
    if match:
        return f"{blocks_at + int(match[1])}.{match[2]}"
    conv = conv_at + depth - 1 if blocks_at == 0 else conv_at
    return rest.replace(f"{conv_at}.", f"{conv}.", 1)


def official_model(shared: Path, variant: str, config: TokenizerConfig) -> Tokenizer:
    file = shared / "fixtures" / f"tokenizer_small_{variant}_ckpt.pt"
    state = torch.load(file, weights_only=True)["net"]
    patcher, causal = variant != "no_patcher", variant == "causal"
    named = {
        ours(key, patcher=patcher, causal=causal, stages=config.num_downsamples): value
        for key, value in state.items()
    }
    named.pop(None, None)
    model = Tokenizer(config)
    model.load_state_dict({str(key): value for key, value in named.items()})
    return model.eval()


@pytest.fixture(scope="module")
def recorded(shared: Path) -> Any:
    return torch.load(shared / "fixtures" / "tokenizer_small_io.pt", weights_only=True)


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
        assert torch.equal(model.encode(x).int(), case["indices"].reshape(len(x), -1).int())
        made = model(x)
        assert (made.features - case["recon"]).abs().max() < 1e-4
        assert (
            model.decode(case["indices"][:1].reshape(1, -1)) - case["forward_decoder"]
        ).abs().max() < 1e-4


def test_fsq(shared: Path) -> None:
    cases = torch.load(shared / "fixtures" / "fsq.pt", weights_only=True)
    seen = 0
    for case in cases.values():
        if not isinstance(case, dict) or "bound" not in case:
            continue
        levels = [int(level) for level in case["levels"]] if "levels" in case else None
        if levels is None:
            continue
        seen += 1
        quantizer = FSQ(levels)
        z = case["z"]
        assert torch.allclose(quantizer.bound(z), case["bound"], atol=1e-6)
        safe = (case["margin"] > 1e-5).reshape(len(z), -1).all(-1)
        codes = quantizer(z)
        assert torch.equal(codes[safe], case["codes"][safe])
        assert torch.equal(
            quantizer.codes_to_indices(codes)[safe].int(), case["indices"][safe].int()
        )
        some = case["some_idx"]
        assert torch.equal(quantizer.indices_to_codes(some), case["some_codes"])
        everything = quantizer.indices_to_codes(torch.arange(quantizer.num_codes)).contiguous()
        digest = hashlib.sha256(everything.numpy().tobytes()).hexdigest()
        assert digest == case.get("sha256", digest)
    assert seen >= 5


def test_haar(shared: Path) -> None:
    cases = torch.load(shared / "fixtures" / "haar.pt", weights_only=True)
    checked = 0
    for name, case in cases.items():
        if "rearrange" in name or not isinstance(case, dict):
            continue
        patch = int(name[1 : name.index("_")])
        made: Tensor = haar(case["x"], patch)
        assert torch.allclose(made, case["y"], atol=1e-6)
        assert torch.allclose(inverse_haar(case["y"], patch), case["x_back"], atol=1e-6)
        checked += 1
    assert checked >= 5
