"""Products of activations with a model's matrices: what PyTorch has for weights of 32, 16 and 8 bits, in turn.

python benchmarks/bench_products.py -o benchmarks/results/products.json

All matrices that a preset reads for a token, one after the other, so that none is in a cache. Each way says how many
gigabytes of its own weights it reads a second, beside a float32 matrix-vector product of the same run. The ways with
activations of 8 bits are another model; `PackedInt8Linear` is not.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from host import host
from measure import interleaved, matrix_vector
from torch import Tensor, nn

from motionmill.generator.config import PRESETS, preset
from motionmill.generator.model import Generator
from motionmill.generator.precision import Int8Linear, PackedInt8Linear, PackedLinear

BITS = {"float32": 4, "bfloat16": 2, "int8": 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", choices=list(PRESETS), default="111M")
    parser.add_argument("--rows", nargs="+", type=int, default=[1, 16])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    text = json.dumps(run(arguments), indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


@torch.inference_mode()
def run(arguments: argparse.Namespace) -> dict[str, object]:
    before = host()
    matrices = random_matrices(arguments.preset)
    count = sum(matrix.numel() for matrix in matrices)
    reading, size = matrix_vector()
    cases: dict[str, Callable[[], object]] = {"matrix-vector": reading}
    for name, ways in all_ways(matrices).items():
        dtype = torch.float32 if name.startswith(("float32", "int8, high")) else torch.bfloat16
        dtype = torch.int8 if "8-bit activations" in name else dtype
        for rows in arguments.rows:
            inputs = [torch.randn(rows, m.shape[1]).mul_(30).to(dtype) for m in matrices]
            cases[f"{name}; {rows}"] = lambda ways=ways, inputs=inputs: [
                way(x) for way, x in zip(ways, inputs, strict=True)
            ]
    timings = interleaved(cases, repeats=arguments.repeats)
    table = []
    for case in list(cases)[1:]:
        name, rows_text = case.split("; ")
        read = count * BITS[name.split(",")[0]] / timings[case].median / 1e9
        row = {"way": name, "rows": int(rows_text), **timings[case].row()}
        table.append({**row, "weights read, GB/s": round(read, 1)})
    speed = size / timings["matrix-vector"].median / 1e9
    return {
        "host": before,
        "load after": host()["load"],
        "preset": arguments.preset,
        "weights read a token": count,
        "matrix-vector GB/s": round(speed, 1),
        "ways": table,
    }


def random_matrices(name: str) -> list[Tensor]:
    with torch.device("meta"):
        model = Generator(preset(name))
    layers = [layer for layer in model.blocks.modules() if isinstance(layer, nn.Linear)]
    return [torch.randn(layer.weight.shape) for layer in (*layers, model.head)]


def all_ways(matrices: list[Tensor]) -> dict[str, list[Callable[[Tensor], Tensor]]]:
    """For each way a function for each matrix."""
    short = [matrix.bfloat16() for matrix in matrices]
    whole = [Int8Linear(matrix) for matrix in matrices]
    packed = [PackedInt8Linear(matrix) for matrix in matrices]
    return {
        "float32, linear": [lambda x, m=m: F.linear(x, m) for m in matrices],
        "bfloat16, linear": [lambda x, m=m: F.linear(x, m) for m in short],
        "bfloat16, in oneDNN's order": [PackedLinear(m).forward for m in short],
        "int8, _weight_int8pack_mm": [layer.forward for layer in whole],
        "int8, _int_mm, 8-bit activations": [
            lambda x, m=layer.weight: torch._int_mm(x, m.t()) for layer in whole
        ],
        "int8, oneDNN, 8-bit activations": [layer._multiply for layer in packed],
        "int8, high and low parts of activations": [layer.forward for layer in packed],
    }


if __name__ == "__main__":
    main()
