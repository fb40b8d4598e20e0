"""A released model: a folder with generator, tokenizer, statistics, checksums and model card <-> what runs it.

NAME/{config.json, generator/, tokenizer/, statistics.safetensors, MODEL_CARD.md, SHA256SUMS}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch

from motionmill.generator.config import GeneratorConfig, Precision, ReleaseConfig
from motionmill.generator.model import Generator
from motionmill.generator.precision import set_precision
from motionmill.tokenizer.encode import STATISTICS_NAME, MotionCodec
from motionmill.training.weights import (
    CONFIG_NAME,
    check_sums,
    load_config,
    load_into,
    save_weights,
    write_sums,
    write_text,
)

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
CARD_NAME = "MODEL_CARD.md"


@dataclass(frozen=True, eq=False)
class Release:
    """A model ready to run.

    Attributes:
        config: name, licence, text encoder, default sampling.
        codec: tokenizer with its statistics.
        generator: text to tokens.
    """

    config: ReleaseConfig
    codec: MotionCodec
    generator: Generator

    def save(self, folder: Path, card: str, *, dtype: torch.dtype = torch.float16) -> None:
        """Write the folder. Weights are stored as `dtype`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.codec.save(folder / "tokenizer", folder / STATISTICS_NAME, dtype=dtype)
        save_weights(self.generator, self.generator.config, folder / "generator", dtype=dtype)
        text = json.dumps(self.config.model_dump(mode="json"), indent=2) + "\n"
        write_text(folder / CONFIG_NAME, text)
        write_text(folder / CARD_NAME, card)
        write_sums(folder)


def load_release(
    model: str | Path,
    *,
    device: torch.device | None = None,
    precision: Precision = "float32",
) -> Release:
    """A model that ships (its name) or a release folder.

    Args:
        precision: of the generator; a short one only runs, see `set_precision`.

    Raises:
        FileNotFoundError: neither a shipped model nor a folder.
        ValueError: a file is damaged, or no such precision.
    """
    if precision not in get_args(Precision):
        raise ValueError(f"precision {precision!r}; expected {', '.join(get_args(Precision))}")
    folder = find_release(model)
    check_sums(folder)
    codec = MotionCodec.load(folder / "tokenizer", folder / STATISTICS_NAME, device=device)
    config = load_config(ReleaseConfig, folder)
    with torch.device("meta"):
        generator = Generator(load_config(GeneratorConfig, folder / "generator"))
    # Short precisions are made from what is stored, so that a large model is never there in float32.
    dtype = torch.float32 if precision == "float32" else None
    load_into(generator, folder / "generator", device=device, dtype=dtype)
    set_precision(generator, precision)
    return Release(config, codec, generator.eval())


def find_release(model: str | Path) -> Path:
    """The folder of a model, by shipped name or by path. Raises FileNotFoundError."""
    for folder in (WEIGHTS / str(model), Path(model)):
        if (folder / CONFIG_NAME).is_file():
            return folder
    raise FileNotFoundError(
        f"no model {str(model)!r}: it is neither a release folder nor one that ships ({', '.join(shipped_models())})"
    )


def shipped_models() -> list[str]:
    """Names of the models in the package."""
    return sorted(path.parent.name for path in WEIGHTS.glob(f"*/{CONFIG_NAME}"))


def export(run: Path, output: Path, config: ReleaseConfig, card: Path | None = None) -> None:
    """A finished run of `motionmill train generator` -> a release folder with float16 weights and a model card.

    Args:
        card: text of the card; a table of settings, sizes and tokenizer errors is added to it.

    Raises:
        FileNotFoundError: the run is not finished, or there is no such card.
    """
    text = (
        card.read_text(encoding="utf-8")
        if card
        else f"# {config.name}\n\nLicence: {config.licence}.\n"
    )
    release = load_run(run, config)
    release.save(output, f"{text.rstrip()}\n\n{_settings(run, release)}")


def load_run(run: Path, config: ReleaseConfig) -> Release:
    """A finished run of `motionmill train generator` as a Release."""
    generator = Generator(load_config(GeneratorConfig, run / "generator"))
    load_into(generator, run / "generator")
    codec = MotionCodec.load(run / "tokenizer", run / STATISTICS_NAME)
    return Release(config, codec, generator.eval())


def _settings(run: Path, release: Release) -> str:
    """The part of a model card that a run knows: architecture, size, training settings, tokenizer errors."""
    sizes = {
        "tokenizer": release.codec.tokenizer,
        "generator": release.generator,
    }
    lines = ["## Settings", "", "| part | parameters |", "|---|---|"]
    for name, model in sizes.items():
        count = sum(parameter.numel() for parameter in model.parameters())
        lines.append(f"| {name} | {count:,} |")
    for name in ("tokenizer.yaml", "config.yaml"):
        if (run / name).is_file():
            part = "generator" if name == "config.yaml" else "tokenizer"
            text = (run / name).read_text(encoding="utf-8").rstrip()
            lines += ["", f"Training of the {part}:", "", "```yaml", text, "```"]
    report = run / "report.json"
    if report.is_file():
        rows = json.loads(report.read_text(encoding="utf-8"))
        names = list(next(iter(rows.values())))
        lines += ["", "Tokenizer on held-out recordings:", "", f"| source | {' | '.join(names)} |"]
        lines.append("|" + "---|" * (len(names) + 1))
        for source, row in rows.items():
            lines.append(f"| {source} | " + " | ".join(f"{row[name]:.4g}" for name in names) + " |")
    return "\n".join(lines) + "\n"
