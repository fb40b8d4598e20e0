"""Text states -> tokens: the reference's way (the whole sequence anew for every token) beside the engine, in one run.

python benchmarks/bench_generator.py -o benchmarks/results/generator.json

Weights are random; speed does not depend on them. The naive way is timed at some of its positions and integrated over
the motion, since all of them would take most of a minute. That its tokens are the engine's is checked in one pass: with
the engine's tokens as input, its likeliest token at every position must be the engine's next.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import torch
import torch.nn.functional as F
from host import host
from measure import Timing, interleaved, matrix_vector, multiply_speed
from torch import Tensor

from motionmill.generator.config import PRESETS, Precision, SamplingConfig, preset
from motionmill.generator.engine import Engine, Request
from motionmill.generator.model import Generator, attention_mask, positions_of
from motionmill.generator.precision import set_precision
from motionmill.generator.rotary import rotary_table

GREEDY = SamplingConfig(temperature=0.0, guidance=1.0)
BYTES: dict[Precision, int] = {"float32": 4, "bfloat16": 2, "int8": 1}
POSITIONS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", choices=list(PRESETS), default="111M")
    parser.add_argument(
        "--precision", nargs="+", choices=get_args(Precision), default=get_args(Precision)
    )
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 16])
    parser.add_argument("--text", type=int, default=20, help="text states")
    parser.add_argument("--tokens", type=int, default=150, help="tokens of a motion")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    text = json.dumps(run(arguments), indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


def run(arguments: argparse.Namespace) -> dict[str, object]:
    before = host()
    torch.manual_seed(0)
    model = Generator(preset(arguments.preset)).eval()
    models = {precision: prepared(model, precision) for precision in arguments.precision}
    texts = torch.randn(max(arguments.batch), arguments.text, model.config.text_width)
    positions = [round(x) for x in torch.linspace(0, arguments.tokens - 1, POSITIONS).tolist()]
    made: dict[tuple[str, int], list[Tensor]] = {}
    product, size = matrix_vector()
    cases: dict[str, Callable[[], object]] = {"matrix-vector": product}
    for place in positions:
        tokens = torch.randint(model.config.num_codes, (1, place))
        cases[f"naive {place}"] = lambda tokens=tokens: naive_logits(model, texts[:1], tokens)
    for precision, other in models.items():
        for batch in arguments.batch:
            cases[f"{precision} {batch}"] = lambda p=precision, m=other, b=batch: made.update(
                {(p, b): generate(m, texts[:b], arguments.tokens)}
            )
    timings = interleaved(cases, repeats=arguments.repeats)
    naive = integrate(positions, [timings[f"naive {place}"].best for place in positions])
    reading = timings["matrix-vector"]
    operations = multiply_speed()
    weights = sum(p.numel() for p in model.blocks.parameters()) + model.head.weight.numel()
    rows = []
    for precision in arguments.precision:
        for batch in arguments.batch:
            timing = timings[f"{precision} {batch}"]
            steps = arguments.tokens
            values = row(timing, precision, batch, steps, weights, (reading, size, operations))
            values["times the naive way"] = naive / timing.median * batch
            rows.append(values)
    return {
        "host": before,
        "load after": host()["load"],
        "preset": arguments.preset,
        "parameters": sum(p.numel() for p in model.parameters()),
        "weights read a token": weights,
        "text states": arguments.text,
        "tokens": arguments.tokens,
        "matrix-vector GB/s": {
            "median": round(size / reading.median / 1e9, 2),
            "best": round(size / reading.best / 1e9, 2),
            "of processor time": round(size / min(reading.processor) / 1e9, 2),
        },
        "float32 multiplications, GFLOP/s": round(operations / 1e9, 1),
        "naive": {
            "seconds a motion, integrated over positions at their best": round(naive, 2),
            "tokens/s": round(arguments.tokens / naive, 2),
            "positions": {place: timings[f"naive {place}"].row() for place in positions},
        },
        "engine": [rounded(values) for values in rows],
        "checks": checks(model, texts, made),
    }


def prepared(model: Generator, precision: Precision) -> Generator:
    if precision == "float32":
        return model
    short = copy.deepcopy(model)
    set_precision(short, precision)
    return short


def generate(model: Generator, texts: Tensor, num_tokens: int) -> list[Tensor]:
    requests = [Request(text, GREEDY, duration=num_tokens) for text in texts]
    return Engine(model).generate(requests)


@torch.inference_mode()
def naive_logits(model: Generator, texts: Tensor, tokens: Tensor) -> Tensor:
    """(1, P, E) text and (1, N) tokens -> (1, P + N, V) logits of every position, nothing kept for the next time."""
    hidden = torch.cat((model.text_projection(texts), model.embedding(tokens)), dim=1)
    mask = torch.ones(hidden.shape[:2], dtype=torch.bool)
    rotary = rotary_table(model.config, positions_of(mask))
    allowed = attention_mask(mask, texts.shape[1])
    for block in model.blocks:
        hidden = block(hidden, rotary, allowed)
    return F.linear(model.norm(hidden), model.head.weight)


def integrate(positions: list[int], seconds: list[float]) -> float:
    """Seconds of all steps, between the measured ones on straight lines."""
    total = seconds[-1]
    for place in range(len(positions) - 1):
        steps = positions[place + 1] - positions[place]
        total += steps * (seconds[place] + seconds[place + 1]) / 2
    return total


def row(
    timing: Timing,
    precision: Precision,
    batch: int,
    num_tokens: int,
    weights: int,
    limits: tuple[Timing, int, float],
) -> dict[str, object]:
    """What was reached, as a share of what the machine can: bytes read and operations done a second."""
    reading, size, operations = limits
    step = timing.median / num_tokens
    read = weights * BYTES[precision]
    busy = min(timing.processor) / num_tokens
    return {
        "precision": precision,
        "batch": batch,
        "tokens/s": batch / step,
        "ms a step": 1e3 * step,
        "seconds": [round(value, 3) for value in timing.clock],
        "processor ms a step, least": 1e3 * busy,
        "weights read, GB/s": read / step / 1e9,
        "of the matrix-vector bandwidth": read / step / (size / reading.median),
        "of the same, in processor time": read / busy / (size / min(reading.processor)),
        "of the float32 multiplication speed": 2 * weights * batch / step / operations,
    }


def checks(
    model: Generator, texts: Tensor, made: dict[tuple[str, int], list[Tensor]]
) -> dict[str, str]:
    """Whether the tokens are the naive way's, and those of a batch the ones that each row gets alone."""
    found: dict[str, str] = {}
    exact = {batch: rows for (precision, batch), rows in made.items() if precision == "float32"}
    for batch, rows in exact.items():
        for place, tokens in enumerate(rows[:4]):
            logits = naive_logits(model, texts[place : place + 1], tokens[None, :-1])
            likeliest = logits[0, texts.shape[1] - 1 :, : model.config.num_codes].argmax(-1)
            same = int((likeliest == tokens).sum())
            found[f"float32, batch {batch}, row {place}: naive tokens"] = f"{same}/{len(tokens)}"
    for (precision, batch), rows in made.items():
        alone = exact.get(1, rows)[0]
        same = int((rows[0] == alone).sum())
        found[f"{precision}, batch {batch}: tokens of float32 alone"] = f"{same}/{len(alone)}"
    return found


def rounded(values: dict[str, object]) -> dict[str, object]:
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in values.items()
    }


if __name__ == "__main__":
    main()
