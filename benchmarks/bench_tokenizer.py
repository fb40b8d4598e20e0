"""Normalised features -> tokens -> features at the official size: the reference's way beside ours, in one run.

python benchmarks/bench_tokenizer.py -o benchmarks/results/tokenizer.json

The reference's forward pass also counts how often each of 64,000 codes is used, by a one-hot matrix, whenever it
encodes. Weights are random; speed does not depend on them.
"""

from __future__ import annotations

import argparse
import copy
import functools
import json
from pathlib import Path

import torch
from host import host
from measure import interleaved, multiply_speed
from torch import Tensor, nn

from motionmill.generator.official import OFFICIAL_TOKENIZER
from motionmill.tokenizer.model import Tokenizer

ASKED = 2 * 4_700


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=int, default=1)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--threads", type=int)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model = Tokenizer(OFFICIAL_TOKENIZER).eval()
    plain = with_plain_convolutions(model)
    model.keep_in_order()
    clips = torch.randn(arguments.clips, arguments.frames, OFFICIAL_TOKENIZER.num_features)
    tokens = model.encode(clips)
    timings = interleaved(
        {
            "naive": lambda: naive(plain, clips),
            "ours": lambda: model.decode(model.encode(clips)),
            "ours, encode": lambda: model.encode(clips),
            "ours, decode": lambda: model.decode(tokens),
        },
        repeats=arguments.repeats,
    )
    same_tokens, reconstruction = naive(plain, clips)
    count = arguments.clips * arguments.frames
    operations = num_operations(model, clips)
    limit = multiply_speed()
    ours = timings["ours"]
    result = {
        "host": host(),
        "clips": arguments.clips,
        "frames": arguments.frames,
        "naive, frames/s": round(count / timings["naive"].median),
        "ours, frames/s": round(count / ours.median),
        "ours at best, frames/s": round(count / ours.best),
        "ours, frames a second of processor time": round(count / min(ours.processor)),
        "asked, frames/s": ASKED,
        "ratio": round(timings["naive"].median / ours.median, 2),
        "GFLOP": round(operations / 1e9, 2),
        "float32 multiplications, GFLOP/s": round(limit / 1e9, 1),
        "of the multiplication speed": round(operations / ours.median / limit, 2),
        "timings": {name: timing.row() for name, timing in timings.items()},
        "same tokens": bool(torch.equal(same_tokens, tokens)),
        "largest difference": float((reconstruction - model.decode(tokens)).abs().max()),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


def with_plain_convolutions(model: Tokenizer) -> Tokenizer:
    """The same weights, each convolution as PyTorch's own layer does it, channels first."""
    plain = copy.deepcopy(model)
    for module in plain.modules():
        if isinstance(module, nn.Conv1d):
            module.forward = functools.partial(channels_first, module)
    return plain


def channels_first(layer: nn.Conv1d, signal: Tensor) -> Tensor:
    """(B, T, I) -> (B, T, O)."""
    return nn.Conv1d.forward(layer, signal.transpose(1, 2)).transpose(1, 2)


@torch.no_grad()
def naive(model: Tokenizer, clips: Tensor) -> tuple[Tensor, Tensor]:
    """Encode as the reference does, use of the codes included, and decode."""
    codes = model.quantizer(model.project_in(model.encoder(clips)))
    tokens = model.quantizer.codes_to_indices(codes)
    used = torch.zeros(model.quantizer.num_codes, tokens.numel())
    used.scatter_(0, tokens.view(1, -1), 1.0)
    share = used.sum(-1) / used.sum()
    torch.exp(-torch.sum(share * torch.log(share + 1e-7)))
    return tokens, model.decoder(model.project_out(model.quantizer.indices_to_codes(tokens)))


@torch.no_grad()
def num_operations(model: Tokenizer, clips: Tensor) -> int:
    """Multiplications and additions of all convolutions and projections."""
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        weight = layer.get_parameter("weight")
        places = output.numel() // weight.shape[0]
        nonlocal total
        total += 2 * weight.numel() * places

    layers = [x for x in model.modules() if isinstance(x, nn.Conv1d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    model.decode(model.encode(clips))
    for hook in hooks:
        hook.remove()
    return total


if __name__ == "__main__":
    main()
