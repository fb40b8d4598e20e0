"""The command line: a table of commands, each about ten lines that call one function of the package.

A command is a function whose arguments are its options. Commands that take a recipe get its values as `config`; each
of them can be changed by a flag such as `--model.width 512`.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from motionmill.config import Config, load_recipe

Output = Annotated[Path, tyro.conf.arg(aliases=["-o"])]
Outputs = Annotated[tuple[Path, ...], tyro.conf.arg(aliases=["-o"]), tyro.conf.UseAppendAction]


def generate(
    prompt: tyro.conf.Positional[str] = "",
    /,
    *,
    output: Outputs,
    seconds: float | None = None,
    then: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = (),
    after: Path | None = None,
    prompts: Path | None = None,
    samples: int = 1,
    seed: int = 0,
    model: str = "mini",
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    guidance: float | None = None,
    cleanup: float = 1.0,
    device: str | None = None,
) -> None:
    """A sentence -> a character that moves, in files for other programs.

    Args:
        prompt: what is done, in English.
        output: a file to write, by its suffix .glb .bvh .npz .mp4 .gif .png .npy; may be given several times.
        seconds: length; without it the motion ends by itself.
        then: what is done after that and for how long, such as "a person waves:2"; may be given several times.
        after: a motion file that the new motion goes on from.
        prompts: a file of prompts instead, one a line or .jsonl; {} in the output's name is the line's number, and
            files that are there already are kept.
        samples: so many motions of the prompt, with seeds from --seed on; {} in the output's name is the seed.
        seed: another seed, another motion.
        model: "mini", or a release folder.
        temperature: 0 takes the likeliest token; the model's own by default.
        top_k: draw among the k likeliest tokens.
        top_p: draw among the likeliest tokens that hold this much probability.
        guidance: how closely to follow the text; 1 is none.
        cleanup: strength of the foot-lock clean-up, 0 to 1.
        device: cpu, cuda, mps; a GPU when there is one.
    """
    from motionmill import batch
    from motionmill.pipeline import TextToMotion

    if not 0 <= cleanup <= 1:
        raise ValueError(f"--cleanup {cleanup}; expected 0 (raw) to 1")
    if prompts is not None and (prompt or then or after or samples != 1):
        raise ValueError("--prompts takes the place of a prompt, --then, --after and --samples")
    job = batch.Job(prompt, output, seconds, batch.read_parts(then), after, samples, seed)
    job.check() if prompts is None else batch.check_patterns(output)
    pipeline = TextToMotion.from_pretrained(model, device=device)
    given = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "guidance": guidance}
    sampling = pipeline.release.config.sampling.changed(given)
    settings = {"sampling": sampling, "cleanup": cleanup}
    if prompts is None:
        for line in job.run(pipeline, **settings):
            print(line)
    else:
        print(batch.run_file(pipeline, prompts, output, seconds=seconds, seed=seed, **settings))


def convert(
    source: tyro.conf.Positional[Path], /, output: Outputs, fps: float | None = None
) -> None:
    """A motion file -> other formats; a rig that is recognised is carried over to our skeleton.

    Args:
        source: .bvh .npz .glb .npy
        output: files to write.
        fps: frames per second of the result; as in the source by default.
    """
    from motionmill.formats.files import check_writable, load, save
    from motionmill.motion.retarget import retarget
    from motionmill.motion.skeleton import SMPL_22_NAMES

    for path in output:
        check_writable(path)
    motion = load(source)
    if motion.skeleton.names != SMPL_22_NAMES:
        motion = retarget(motion)
    if fps is not None:
        motion = motion.resample(fps)
    for path in output:
        save(motion, path)
    print(
        f"{', '.join(map(str, output))}: {motion.seconds:.1f} s, {len(motion)} frames at {motion.fps:g} fps"
    )


def inspect(source: tyro.conf.Positional[Path], /) -> None:
    """What is in a motion file: skeleton, length, path, feet.

    Args:
        source: .bvh .npz .glb .npy
    """
    from motionmill.formats.files import load
    from motionmill.motion.report import report

    print(report(load(source)))


def data_run(
    config: Config,
    *,
    input: tuple[Path, ...],
    output: Output,
    recipe: str = "data",
) -> None:
    """Motion capture -> a captioned, leak-free, sharded data set; goes on where it stopped.

    Args:
        input: folders of packed shards or BVH files.
        output: the data set's folder.
        recipe: name of a shipped recipe, or a YAML file.
    """
    from motionmill.data.build import build
    from motionmill.data.config import DataConfig
    from motionmill.training.progress import progress_bar

    assert isinstance(config, DataConfig)
    with progress_bar("shards") as progress:
        build(list(input), output, config, progress=progress)
    print(f"{output / 'README.md'}")


def train_tokenizer(
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


def train_generator(
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


def train_export(
    config: Config,
    run: tyro.conf.Positional[Path],
    /,
    output: Output,
    recipe: str = "release-mini",
    card: Path | None = None,
) -> None:
    """A finished generator run -> a release folder that `--model` takes.

    Args:
        run: a finished run of `motionmill train generator`.
        output: the release folder.
        recipe: name, licence and default sampling: a shipped recipe, or a YAML file.
        card: text for the model card; a table of the run's settings is added.
    """
    from motionmill.generator.config import ReleaseConfig
    from motionmill.generator.release import export

    assert isinstance(config, ReleaseConfig)
    export(run, output, config, card)
    print(f"{output}")


def import_official(
    *,
    tokenizer: Path,
    generator: Path,
    stats: Path,
    output: Output,
    heads: int | None = None,
    text_encoder: str = "google/flan-t5-xl",
) -> None:
    """The paper's released checkpoints -> a release folder that `--model` takes.

    Args:
        tokenizer: the tokenizer's .pth, or a .zip that holds it.
        generator: the generator's .pth, or a .zip that holds it.
        stats: folder of mean.npy and std.npy.
        output: the release folder.
        heads: attention heads, for a generator that is no preset.
        text_encoder: folder or Hub name of the T5 encoder that it was trained with.
    """
    from motionmill.generator import official
    from motionmill.training.progress import progress_bar

    with progress_bar("tensors") as progress:
        official.import_official(
            tokenizer,
            generator,
            stats,
            output,
            heads=heads,
            text_encoder=text_encoder,
            progress=progress,
        )
    print(f"{output}")


@dataclasses.dataclass(frozen=True)
class _Command:
    """A function and, when it takes a recipe, the class of its config."""

    run: Callable[..., None]
    config: Callable[[], type[Config]] | None = None

    @property
    def purpose(self) -> str:
        return (self.run.__doc__ or "").splitlines()[0]


def _data_config() -> type[Config]:
    from motionmill.data.config import DataConfig

    return DataConfig


def _tokenizer_config() -> type[Config]:
    from motionmill.tokenizer.config import TokenizerRunConfig

    return TokenizerRunConfig


def _generator_config() -> type[Config]:
    from motionmill.generator.config import GeneratorRunConfig

    return GeneratorRunConfig


def _release_config() -> type[Config]:
    from motionmill.generator.config import ReleaseConfig

    return ReleaseConfig


_COMMANDS = {
    "generate": _Command(generate),
    "convert": _Command(convert),
    "inspect": _Command(inspect),
    "data run": _Command(data_run, _data_config),
    "train tokenizer": _Command(train_tokenizer, _tokenizer_config),
    "train generator": _Command(train_generator, _generator_config),
    "train export": _Command(train_export, _release_config),
    "import-official": _Command(import_official),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 1 on a failure, 2 on bad input, 130 when interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    level = logging.DEBUG if debug else logging.WARNING
    logging.basicConfig(level=level, format="%(name)s: %(message)s", stream=sys.stderr)
    try:
        return _run(words)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever reads our output has seen enough
        sys.stdout = None
        return 0
    except Exception as error:
        if debug:
            raise
        bad_input = isinstance(error, ValueError | OSError | ImportError)
        name = "" if bad_input else f"{type(error).__name__}: "
        print(f"motionmill: {name}{_one_line(error)}", file=sys.stderr)
        return 2 if bad_input else 1


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0 if words else 2
    if words[0] == "--version":
        from motionmill import __version__

        print(f"motionmill {__version__}")
        return 0
    for length in (2, 1):
        name = " ".join(words[:length])
        if name in _COMMANDS:
            command = _COMMANDS[name]
            function = command.run if command.config is None else _with_recipe(command, words)
            tyro.cli(function, prog=f"motionmill {name}", args=words[length:])
            return 0
    close = difflib.get_close_matches(" ".join(words[:2]), _COMMANDS, 1, 0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"no command {words[0]!r}{hint} (motionmill --help lists them)")


def _with_recipe(command: _Command, words: list[str]) -> Callable[..., None]:
    """The command's function with `config` an option group whose defaults are the recipe's values."""
    import inspect as signatures

    assert command.config is not None
    signature = signatures.signature(command.run, eval_str=True)
    recipe = signature.parameters["recipe"].default
    for place, word in enumerate(words):
        if word.startswith("--recipe="):
            recipe = word.partition("=")[2]
        elif word == "--recipe" and place + 1 < len(words):
            recipe = words[place + 1]
    kind = command.config()
    values = load_recipe(kind, recipe)

    def run(*args: Any, **kwargs: Any) -> None:
        command.run(kwargs.pop("config"), *args, **kwargs)

    config = signature.parameters["config"].replace(
        kind=signatures.Parameter.KEYWORD_ONLY,
        annotation=Annotated[kind, tyro.conf.arg(name="")],
        default=values,
    )
    others = [parameter for name, parameter in signature.parameters.items() if name != "config"]
    run.__signature__ = signature.replace(parameters=[*others, config])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in (*others, config)} | {"return": None}
    run.__doc__ = command.run.__doc__
    return run


def _overview() -> str:
    width = max(map(len, _COMMANDS)) + 2
    lines = ["motionmill: text in, an animated character out", "", "commands:"]
    lines += [f"  {name:<{width}}{command.purpose}" for name, command in _COMMANDS.items()]
    lines += ["", "motionmill COMMAND --help shows its options; --debug anywhere shows tracebacks."]
    return "\n".join(lines)


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}"
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
