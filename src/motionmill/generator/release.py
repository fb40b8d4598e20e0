"""A released model: a folder with generator, tokenizer, statistics, checksums and model card <-> what runs it.

NAME/{config.json, generator/, tokenizer/, ranker/ (some), statistics.safetensors, MODEL_CARD.md, SHA256SUMS}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch
from torch import nn

from motionmill.generator.config import GeneratorConfig, Precision, ReleaseConfig
from motionmill.generator.model import Generator
from motionmill.generator.precision import set_precision
from motionmill.generator.ranker import TrainedRanker
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
        ranker: chooses among several motions of a text; not every model has one.
    """

    config: ReleaseConfig
    codec: MotionCodec
    generator: Generator
    ranker: TrainedRanker | None = None

    def save(self, folder: Path, card: str, *, dtype: torch.dtype = torch.float16) -> None:
        """Write the folder. Weights are stored as `dtype`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.codec.save(folder / "tokenizer", folder / STATISTICS_NAME, dtype=dtype)
        save_weights(self.generator, self.generator.config, folder / "generator", dtype=dtype)
        if self.ranker is not None:
            self.ranker.save(folder / "ranker", dtype=dtype)
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
    config = load_config(ReleaseConfig, folder)
    codec = MotionCodec.load(
        folder / "tokenizer",
        folder / STATISTICS_NAME,
        device=device,
        own_skeleton=config.own_skeleton,
    )
    codec.tokenizer.keep_in_order()
    with torch.device("meta"):
        generator = Generator(load_config(GeneratorConfig, folder / "generator"))
    # Short precisions are made from what is stored, so that a large model is never there in float32.
    dtype = torch.float32 if precision == "float32" else None
    load_into(generator, folder / "generator", device=device, dtype=dtype)
    set_precision(generator, precision)
    ranker = None
    if (folder / "ranker").is_dir():
        ranker = TrainedRanker.load(folder / "ranker", codec.normalizer, device=device)
    return Release(config, codec, generator.eval(), ranker)


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


def export(
    run: Path,
    output: Path,
    config: ReleaseConfig,
    card: Path | None = None,
    *,
    ranker: Path | None = None,
    tokenizer: Path | None = None,
) -> None:
    """A finished run of `motionmill train generator` -> a release folder with float16 weights and a model card.

    Args:
        card: text of the card; a table of settings, sizes and tokenizer errors is added to it.
        ranker: a finished run of `motionmill train ranker`.
        tokenizer: a run whose tokenizer has the same encoder and a decoder that was trained further.

    Raises:
        FileNotFoundError: the run is not finished, or there is no such card.
        ValueError: a tokenizer with other tokens.
    """
    text = (
        card.read_text(encoding="utf-8")
        if card
        else f"# {config.name}\n\nLicence: {config.licence}.\n"
    )
    release = load_run(run, config, ranker=ranker, tokenizer=tokenizer)
    release.save(output, f"{text.rstrip()}\n\n{_settings(run, release, ranker, tokenizer)}")


def load_run(
    run: Path,
    config: ReleaseConfig,
    *,
    ranker: Path | None = None,
    tokenizer: Path | None = None,
) -> Release:
    """A finished run of `motionmill train generator` as a Release; arguments and errors as `export`."""
    generator = Generator(load_config(GeneratorConfig, run / "generator"))
    load_into(generator, run / "generator")
    own = config.own_skeleton
    codec = MotionCodec.load(run / "tokenizer", run / STATISTICS_NAME, own_skeleton=own)
    if tokenizer is not None:
        better = MotionCodec.load(
            tokenizer / "tokenizer", tokenizer / STATISTICS_NAME, own_skeleton=own
        )
        if not _same_tokens(codec, better):
            raise ValueError(f"{tokenizer}: its encoder is not the one that {run} was trained with")
        codec = better
    trained = None if ranker is None else TrainedRanker.load(ranker / "ranker", codec.normalizer)
    return Release(config, codec, generator.eval(), trained)


def _same_tokens(codec: MotionCodec, other: MotionCodec) -> bool:
    """Whether two codecs give every motion the same tokens."""
    parts = (
        (codec.normalizer.mean, other.normalizer.mean),
        (codec.normalizer.std, other.normalizer.std),
        *(
            (weight, other.tokenizer.state_dict()[name])
            for name, weight in codec.tokenizer.state_dict().items()
            if name.startswith(("encoder.", "project_in."))
        ),
    )
    return all(torch.equal(one, two) for one, two in parts)


def _settings(run: Path, release: Release, ranker: Path | None, tokenizer: Path | None) -> str:
    """The part of a model card that runs know: architecture, size, training settings, tokenizer errors."""
    sizes: dict[str, nn.Module] = {
        "tokenizer": release.codec.tokenizer,
        "generator": release.generator,
    }
    if release.ranker is not None:
        sizes["ranker"] = release.ranker.model
    lines = ["## Settings", "", "| part | parameters |", "|---|---|"]
    for name, model in sizes.items():
        count = sum(parameter.numel() for parameter in model.parameters())
        lines.append(f"| {name} | {count:,} |")
    settings = {
        "tokenizer": run / "tokenizer.yaml" if tokenizer is None else tokenizer / "config.yaml",
        "generator": run / "config.yaml",
        "ranker": run / "ranker.yaml" if ranker is None else ranker / "config.yaml",
    }
    for part, path in settings.items():
        if path.is_file():
            text = path.read_text(encoding="utf-8").rstrip()
            lines += ["", f"Training of the {part}:", "", "```yaml", text, "```"]
    report = (tokenizer or run) / "report.json"
    if report.is_file():
        rows = json.loads(report.read_text(encoding="utf-8"))
        names = list(next(iter(rows.values())))
        lines += ["", "Tokenizer on held-out recordings:", "", f"| source | {' | '.join(names)} |"]
        lines.append("|" + "---|" * (len(names) + 1))
        for source, row in rows.items():
            lines.append(f"| {source} | " + " | ".join(f"{row[name]:.4g}" for name in names) + " |")
    return "\n".join(lines) + "\n"
