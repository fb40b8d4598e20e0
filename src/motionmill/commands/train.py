"""`motionmill train ...`: data sets -> runs -> releases."""

from __future__ import annotations

from pathlib import Path

import tyro

from motionmill.commands.options import Output, say_once
from motionmill.config import Config


def tokenizer(
    config: Config,
    *,
    data: Path,
    output: Output,
    recipe: str = "tokenizer",
    start: Path | None = None,
    device: str | None = None,
    tensorboard: bool = False,
) -> None:
    """A data set -> a motion tokenizer; goes on where it stopped.

    Args:
        data: a data set of `motionmill data run`.
        output: the run's folder.
        recipe: name of a shipped recipe, or a YAML file.
        start: a finished run to begin with, for example to train its decoder further.
        device: cpu, cuda, mps.
        tensorboard: write the numbers for TensorBoard too.
    """
    from motionmill.tokenizer import train
    from motionmill.tokenizer.config import TokenizerRunConfig
    from motionmill.training.device import choose_device

    assert isinstance(config, TokenizerRunConfig)
    where = choose_device(device)
    run = train.train_tokenizer(
        config, data, output, start=start, device=where, tensorboard=tensorboard
    )
    say_once(run / "report.json")


def generator(
    config: Config,
    *,
    data: Path,
    tokenizer: Path,
    output: Output,
    recipe: str = "generator-mini",
    device: str | None = None,
    tensorboard: bool = False,
) -> None:
    """A data set and a tokenizer -> a text-to-token generator; goes on where it stopped.

    Args:
        data: a data set of `motionmill data run`.
        tokenizer: a finished run of `motionmill train tokenizer`.
        output: the run's folder.
        recipe: name of a shipped recipe, or a YAML file.
        device: cpu, cuda, mps.
        tensorboard: write the numbers for TensorBoard too.
    """
    from motionmill.generator import train
    from motionmill.generator.config import GeneratorRunConfig
    from motionmill.training.device import choose_device

    assert isinstance(config, GeneratorRunConfig)
    where = choose_device(device)
    run = train.train_generator(
        config, data, tokenizer, output, device=where, tensorboard=tensorboard
    )
    say_once(run / "generator")


def ranker(
    config: Config,
    *,
    data: Path,
    tokenizer: Path,
    output: Output,
    recipe: str = "ranker-mini",
    device: str | None = None,
    tensorboard: bool = False,
) -> None:
    """A data set and a tokenizer -> a ranker, which chooses the best of several motions; goes on where it stopped.

    Args:
        data: a data set of `motionmill data run`.
        tokenizer: a finished run of `motionmill train tokenizer`.
        output: the run's folder.
        recipe: name of a shipped recipe, or a YAML file.
        device: cpu, cuda, mps.
        tensorboard: write the numbers for TensorBoard too.
    """
    from motionmill.generator import train
    from motionmill.generator.config import RankerRunConfig
    from motionmill.training.device import choose_device

    assert isinstance(config, RankerRunConfig)
    where = choose_device(device)
    run = train.train_ranker(config, data, tokenizer, output, device=where, tensorboard=tensorboard)
    say_once(run / "ranker")


def plan(
    config: Config,
    *,
    recipe: str = "generator-111m",
    gpus: int = 8,
    gpu_memory: float = 80.0,
    peak: float = 989.0,
    utilisation: float = 0.45,
    data: Path | None = None,
    mean_tokens: float = 40.0,
    mean_text: float = 20.0,
    captions: int = 15_000_000,
) -> None:
    """What training a generator will take: parameters, memory a GPU, tokens/s, hours, storage of text states.

    Args:
        recipe: name of a shipped recipe, or a YAML file.
        gpus: how many.
        gpu_memory: GiB of one.
        peak: bf16 TFLOP/s of one, by its data sheet.
        utilisation: the share of that which training is assumed to reach.
        data: a data set; its lengths and captions are counted instead of the three numbers below.
        mean_tokens: tokens of a motion.
        mean_text: states of a caption.
        captions: different captions.
    """
    from motionmill.generator import plan as plans
    from motionmill.generator.config import GeneratorRunConfig

    assert isinstance(config, GeneratorRunConfig)
    counted = plans.Lengths(mean_tokens, mean_text, captions)
    if data is not None:
        counted = plans.lengths_of(data, max_text=config.model.max_text)
    made = plans.plan(
        config,
        gpus=gpus,
        gpu_memory_gib=gpu_memory,
        peak_flops=peak * 1e12,
        utilisation=utilisation,
        lengths=counted,
    )
    print(plans.describe(made))


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
