"""A model <-> a folder of `config.json` and `model.safetensors`, loaded strictly."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from motionmill.config import Config, parse_config

C = TypeVar("C", bound=Config)
CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
SUMS_NAME = "SHA256SUMS"


def save_weights(
    model: nn.Module, config: Config, folder: Path, *, dtype: torch.dtype = torch.float32
) -> None:
    """Write config and parameters; floating-point tensors are stored as `dtype`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / CONFIG_NAME, json.dumps(config.model_dump(mode="json"), indent=2) + "\n")
    tensors = {
        name: tensor.detach().to(dtype if tensor.is_floating_point() else tensor.dtype).contiguous()
        for name, tensor in model.state_dict().items()
    }
    save_tensors(tensors, folder / WEIGHTS_NAME)


def load_config(kind: type[C], folder: Path) -> C:
    """The config of a model folder.

    Raises:
        FileNotFoundError: no config.json there.
        ValueError: it is not a config of this kind.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {folder} is not a model folder")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from None
    return parse_config(kind, values, source=str(path))


def load_into(model: nn.Module, folder: Path, *, device: torch.device | None = None) -> None:
    """Fill a model with the parameters of its folder, as float32.

    Raises:
        ValueError: damaged file, or tensors that do not belong to this model.
    """
    path = folder / WEIGHTS_NAME
    tensors = load_tensors(path)
    expected = model.state_dict()
    wrong = sorted(set(tensors) ^ set(expected)) or [
        name for name, tensor in tensors.items() if tensor.shape != expected[name].shape
    ]
    if wrong:
        raise ValueError(f"{path}: does not fit {folder / CONFIG_NAME} at {', '.join(wrong[:4])}")
    model.load_state_dict(
        {
            name: tensor.float() if tensor.is_floating_point() else tensor
            for name, tensor in tensors.items()
        }
    )
    if device is not None:
        model.to(device)


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write tensors, aside first and then renamed."""
    from safetensors.torch import save_file

    partial = path.with_name(f".partial-{path.name}")
    save_file(tensors, partial)
    partial.replace(path)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged ({error}); get the file again") from None
    return tensors


def write_sums(folder: Path) -> None:
    """Write `SHA256SUMS` of every other file below the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS_NAME)
    lines = [f"{file_sum(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    write_text(folder / SUMS_NAME, "".join(lines))


def check_sums(folder: Path) -> None:
    """Compare the files of a folder with its `SHA256SUMS`.

    Raises:
        FileNotFoundError: no sums, or a file that they name is missing.
        ValueError: a file has other contents.
    """
    sums = folder / SUMS_NAME
    if not sums.is_file():
        raise FileNotFoundError(f"{sums}: no such file; {folder} is not a released model")
    for line in sums.read_text(encoding="utf-8").splitlines():
        expected, _, name = line.partition("  ")
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; the released model is not complete")
        if file_sum(path) != expected:
            raise ValueError(
                f"{path}: damaged (its sha256 is not the one in {SUMS_NAME}); get the file again"
            )


def file_sum(path: Path) -> str:
    """sha256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a text file, aside first and then renamed."""
    partial = path.with_name(f".partial-{path.name}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
