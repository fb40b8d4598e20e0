"""Small generators trained on the same tokens -> loss against compute, a fit, and what it says of more data.

python benchmarks/bench_scaling.py DATASET TOKENIZER_RUN --runs FOLDER -o benchmarks/results/scaling.json [--steps 1500]

Three sizes (about 1, 3 and 10 M parameters beside embeddings and head) see the same packs in the same order, the rate
staying at its peak, so that every evaluation on the way is a point of its own. The fit is that of Hoffmann and others
(2022): loss = E + A / parameters^a + B / tokens^b. It can be interrupted: runs go on where they stopped.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from host import host
from scipy.optimize import least_squares

from motionmill.config import load_recipe
from motionmill.generator.config import GeneratorRunConfig
from motionmill.generator.size import block_parameters, forward_operations
from motionmill.generator.train import train_generator

SIZES = {"1M": (4, 4, 128), "3M": (5, 4, 224), "10M": (8, 6, 336)}
STATES = 2048
_LEAST = 0.05  # loss that no model falls below, in the fit


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--sizes", nargs="*", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--picture", type=Path, help="beside the JSON file by default")
    parser.add_argument(
        "--fit-only", action="store_true", help="fit what the runs have so far, train nothing"
    )
    arguments = parser.parse_args()
    points = []
    for name in arguments.sizes:
        config = recipe(name, arguments.steps, arguments.threads)
        folder = arguments.runs / name
        if not arguments.fit_only:
            train_generator(config, arguments.data, arguments.tokenizer, folder)
        points += points_of(name, config, folder)
        print(name, "held out", points[-1]["loss"], flush=True)
    fit = fitted(points)
    result = {"host": host(), "points": points, "fit": fit, "says": words(points, fit)}
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    draw(points, fit, arguments.picture or arguments.output.with_suffix(".png"))
    print("\n".join(result["says"]))


def recipe(name: str, steps: int, threads: int | None) -> GeneratorRunConfig:
    layers, heads, width = SIZES[name]
    overrides = {
        "model.num_layers": layers,
        "model.num_heads": heads,
        "model.width": width,
        "model.dropout": 0.0,
        "packing.states": STATES,
        "training.steps": steps,
        "training.schedule": "wsd",
        "training.decay_fraction": 0.0,
        "training.warmup_steps": steps // 20,
        "training.checkpoint_seconds": 40.0,
        "training.evaluate_every": max(1, steps // 10),
        "training.log_every": max(1, steps // 10),
        "training.ema_decay": 0.98,
        "training.precision": "bf16",
        "training.threads": threads,
    }
    return load_recipe(GeneratorRunConfig, "generator-5m", overrides)


def points_of(name: str, config: GeneratorRunConfig, folder: Path) -> list[dict[str, float | str]]:
    """Evaluations of a run after its first tenth: parameters, tokens seen, operations, held-out loss."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rows = [row for row in rows if "held_out/cross_entropy" in row and "tokens_per_second" in row]
    rows = [row for row in rows if row["step"] > config.training.steps / 10]
    model = config.model
    parameters = model.num_layers * block_parameters(model)
    made = []
    for row in rows:
        tokens = row["step"] * row["tokens_per_second"] / row["steps_per_second"]
        states = row["step"] * STATES
        flops = 3 * forward_operations(model, states, tokens, attended=states * 60)
        made.append(
            {
                "size": name,
                "parameters": parameters,
                "tokens": round(tokens),
                "flops": flops,
                "loss": row["held_out/cross_entropy"],
            }
        )
    return made


def fitted(points: list[dict[str, float | str]]) -> dict[str, float]:
    """Least squares of the logarithm of the loss."""
    count, tokens, loss = (
        np.array([float(point[key]) for point in points])
        for key in ("parameters", "tokens", "loss")
    )

    def predicted(values: np.ndarray) -> np.ndarray:
        floor, a, alpha, b, beta = values
        return np.exp(floor) + np.exp(a) / count**alpha + np.exp(b) / tokens**beta

    found = least_squares(
        lambda values: np.log(predicted(values)) - np.log(loss),
        x0=[np.log(loss.min() / 2), 3.0, 0.3, 5.0, 0.4],
        bounds=([np.log(_LEAST), -5, 0.05, -5, 0.05], [2, 15, 1.5, 20, 1.5]),
        loss="soft_l1",
    )
    floor, a, alpha, b, beta = (float(value) for value in found.x)
    return {
        "E": float(np.exp(floor)),
        "A": float(np.exp(a)),
        "alpha": alpha,
        "B": float(np.exp(b)),
        "beta": beta,
        "mean relative error": float(np.abs(predicted(found.x) / loss - 1).mean()),
    }


def at(fit: dict[str, float], parameters: float, tokens: float) -> float:
    return fit["E"] + fit["A"] / parameters ** fit["alpha"] + fit["B"] / tokens ** fit["beta"]


def words(points: list[dict[str, float | str]], fit: dict[str, float]) -> list[str]:
    tokens = max(float(point["tokens"]) for point in points)
    largest = max(float(point["parameters"]) for point in points)
    lines = [
        f"loss = {fit['E']:.2f} + {fit['A']:.3g} / parameters^{fit['alpha']:.2f} "
        f"+ {fit['B']:.3g} / tokens^{fit['beta']:.2f}; mean error {100 * fit['mean relative error']:.1f} %"
    ]
    for times in (1, 10, 100):
        lines.append(
            f"{times} x the tokens ({times * tokens:.3g}): {at(fit, largest, times * tokens):.2f} with "
            f"{largest / 1e6:.0f} M, {at(fit, 1e8, times * tokens):.2f} with 100 M parameters"
        )
    if fit["E"] < 2 * _LEAST:
        lines.append(
            "The floor E is at the edge of what was allowed: these points do not tell it. Read the predictions as the "
            "slope going on for ever, which it will not."
        )
    lines.append(
        f"This is very little data: {tokens:.3g} tokens were seen, with repetition, of some hours of motion, against "
        "the 2,000 hours of the paper; the curves say which way it goes, not where it ends."
    )
    return lines


def draw(points: list[dict[str, float | str]], fit: dict[str, float], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for name in dict.fromkeys(point["size"] for point in points):
        mine = [point for point in points if point["size"] == name]
        flops = [float(point["flops"]) for point in mine]
        axes.plot(flops, [float(point["loss"]) for point in mine], "o", label=f"{name}, measured")
        expected = [at(fit, float(p["parameters"]), float(p["tokens"])) for p in mine]
        axes.plot(flops, expected, color=axes.lines[-1].get_color(), linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel("training compute, floating-point operations")
    axes.set_ylabel("held-out cross entropy, nats a token")
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
