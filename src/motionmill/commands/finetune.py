"""`motionmill finetune`: a release learns an action from own clips."""

from __future__ import annotations

from pathlib import Path

import tyro

from motionmill.commands.options import Output
from motionmill.config import Config


def finetune(
    config: Config,
    release: tyro.conf.Positional[str],
    /,
    output: Output,
    data: Path | None = None,
    adapter: Path | None = None,
    recipe: str = "finetune",
    device: str | None = None,
) -> None:
    """A released model and own clips -> the model with a new action (LoRA); goes on where it stopped.

    Args:
        release: name of a shipped model, or a release folder.
        output: folder; `release/` in it is what --model takes, `adapter/` what was learnt alone.
        data: a data set, or a folder of motion files with captions beside them.
        adapter: merge this adapter of an earlier tuning into the release, instead of training.
        recipe: name of a shipped recipe, or a YAML file.
        device: cpu, cuda, mps.
    """
    from motionmill.generator import finetune
    from motionmill.generator.config import FinetuneConfig
    from motionmill.training.device import choose_device

    if (data is None) == (adapter is None):
        raise ValueError("give either --data (clips to learn from) or --adapter (one to merge)")
    if adapter is not None:
        finetune.merge(release, adapter, output)
        print(f"{output}")
        return
    assert isinstance(config, FinetuneConfig)
    assert data is not None
    finetune.finetune(config, release, data, output, device=choose_device(device))
    print(f"{output / 'release'}")
