"""`motionmill train ...`: data sets -> runs -> releases."""

from __future__ import annotations

from pathlib import Path

import tyro

from motionmill.commands.options import Output
from motionmill.config import Config


def tokenizer(
    config: Config,
    *,
    data: Path,
    output: Output,
    recipe: str = "tokenizer",
    start: Path | None = None,
    device: str | None = None,
) -> None:
    """A data set -> a motion tokenizer; goes on where it stopped.

    Args:
        data: a data set of `motionmill data run`.
        output: the run's folder.
        recipe: name of a shipped recipe, or a YAML file.
        start: a finished run to begin with, for example to train its decoder further.
        device: cpu, cuda, mps.
    """
    from motionmill.tokenizer import train
    from motionmill.tokenizer.config import TokenizerRunConfig
    from motionmill.training.device import choose_device

    assert isinstance(config, TokenizerRunConfig)
    run = train.train_tokenizer(config, data, output, start=start, device=choose_device(device))
    print(f"{run / 'report.json'}")


def generator(
    config: Config,
    *,
    data: Path,
    tokenizer: Path,
    output: Output,
    recipe: str = "generator-mini",
    device: str | None = None,
) -> None:
    """A data set and a tokenizer -> a text-to-token generator; goes on where it stopped.

    Args:
        data: a data set of `motionmill data run`.
        tokenizer: a finished run of `motionmill train tokenizer`.
        output: the run's folder.
        recipe: name of a shipped recipe, or a YAML file.
        device: cpu, cuda, mps.
    """
    from motionmill.generator import train
    from motionmill.generator.config import GeneratorRunConfig
    from motionmill.training.device import choose_device

    assert isinstance(config, GeneratorRunConfig)
    run = train.train_generator(config, data, tokenizer, output, device=choose_device(device))
    print(f"{run / 'generator'}")


def ranker(
    config: Config,
    *,
    data: Path,
    tokenizer: Path,
    output: Output,
    recipe: str = "ranker-mini",
    device: str | None = None,
) -> None:
    """A data set and a tokenizer -> a ranker, which chooses the best of several motions; goes on where it stopped.

    Args:
        data: a data set of `motionmill data run`.
        tokenizer: a finished run of `motionmill train tokenizer`.
        output: the run's folder.
        recipe: name of a shipped recipe, or a YAML file.
        device: cpu, cuda, mps.
    """
    from motionmill.generator import train
    from motionmill.generator.config import RankerRunConfig
    from motionmill.training.device import choose_device

    assert isinstance(config, RankerRunConfig)
    run = train.train_ranker(config, data, tokenizer, output, device=choose_device(device))
    print(f"{run / 'ranker'}")


def export(
    config: Config,
    run: tyro.conf.Positional[Path],
    /,
    output: Output,
    recipe: str = "release-mini",
    card: Path | None = None,
    ranker: Path | None = None,
    tokenizer: Path | None = None,
) -> None:
    """A finished generator run -> a release folder that `--model` takes.

    Args:
        run: a finished run of `motionmill train generator`.
        output: the release folder.
        recipe: name, licence and default sampling: a shipped recipe, or a YAML file.
        card: text for the model card; a table of the run's settings is added.
        ranker: a finished run of `motionmill train ranker`.
        tokenizer: a tokenizer run whose decoder was trained further since the generator's training.
    """
    from motionmill.generator.config import ReleaseConfig
    from motionmill.generator.release import export

    assert isinstance(config, ReleaseConfig)
    export(run, output, config, card, ranker=ranker, tokenizer=tokenizer)
    print(f"{output}")
