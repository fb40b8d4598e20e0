"""A generator <-> the same with low-rank adapters (LoRA, Hu et al. 2021), by the library peft; adapters <-> folders.

Only the adapters learn; merged into the matrices they cost nothing at generation. A folder has peft's own format:
`adapter_config.json` and `adapter_model.safetensors`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from motionmill.extras import require
from motionmill.generator.config import LoraConfig
from motionmill.generator.model import Generator
from motionmill.training.weights import load_tensors, save_tensors, write_text

_TARGETS = ["queries_keys_values", "attention.output", "gate", "up", "down", "head"]
_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"


def add_adapters(model: Generator, config: LoraConfig) -> Generator:
    """Put adapters beside the matrices of the blocks and the head, in place, and freeze all else.

    Adapters are float32, whatever the model is.

    Raises:
        MissingExtraError: peft is not installed.
    """
    peft = require("peft", extra="finetune")
    settings = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=_TARGETS,
        bias="none",
    )
    made: Generator = peft.inject_adapter_in_model(settings, model)
    for name, parameter in made.named_parameters():
        parameter.requires_grad_("lora_" in name)
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return made


def save_adapters(model: Generator, config: LoraConfig, folder: Path) -> None:
    """Write the adapters alone."""
    peft = require("peft", extra="finetune")
    folder.mkdir(parents=True, exist_ok=True)
    state = peft.get_peft_model_state_dict(model)
    save_tensors(
        {name: value.detach().cpu().contiguous() for name, value in state.items()},
        folder / _WEIGHTS,
    )
    settings = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=_TARGETS,
        bias="none",
    )
    values = {
        key: sorted(value) if isinstance(value, set) else value
        for key, value in settings.to_dict().items()
    }
    write_text(folder / _CONFIG, json.dumps(values, indent=2, default=str) + "\n")


def load_adapters(model: Generator, folder: Path) -> Generator:
    """Put stored adapters beside a model's matrices, in place.

    Raises:
        FileNotFoundError: no adapters there.
        ValueError: damaged, or not of this model.
    """
    peft = require("peft", extra="finetune")
    path = folder / _CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {folder} holds no adapter")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        config = LoraConfig(
            rank=values["r"], alpha=values["lora_alpha"], dropout=values["lora_dropout"]
        )
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not the settings of an adapter ({error})") from None
    tensors = load_tensors(folder / _WEIGHTS)
    add_adapters(model, config)
    expected = peft.get_peft_model_state_dict(model)
    wrong = [
        name
        for name in sorted(expected.keys() | tensors.keys())
        if name not in tensors
        or name not in expected
        or tensors[name].shape != expected[name].shape
    ]
    if wrong:
        raise ValueError(f"{folder}: an adapter of another model (it differs at {wrong[0]})")
    peft.set_peft_model_state_dict(model, tensors)
    return model


@torch.no_grad()
def merge_adapters(model: Generator) -> Generator:
    """Add the adapters to the matrices and take them away, in place."""
    layers: Any = require("peft.tuners.lora", extra="finetune").LoraLayer
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, layers):
                child.merge()
                base: nn.Module = child.get_base_layer()
                setattr(parent, name, base)
    return model.requires_grad_(requires_grad=True)
