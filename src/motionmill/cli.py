"""The command line: a table of the commands, which are in `commands/`, and how one is run.

A command is a function whose arguments are its options. Commands that take a recipe get its values as `config`; each
of them can be changed by a flag such as `--model.width 512`.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
import sys
from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any

import tyro

from motionmill.commands import (
    benchmark,
    data,
    evaluate,
    extract,
    files,
    finetune,
    generate,
    inspection,
    models,
    serve,
    train,
)
from motionmill.config import Config, load_recipe


@dataclasses.dataclass(frozen=True)
class _Command:
    """A function and, when it takes a recipe, the class of its config; or one that `makes` the function."""

    run: Callable[..., Any]
    config: Callable[[], type[Config]] | None = None
    makes: bool = False

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


def _ranker_config() -> type[Config]:
    from motionmill.generator.config import RankerRunConfig

    return RankerRunConfig


def _evaluator_config() -> type[Config]:
    from motionmill.evaluation.config import EvaluatorRunConfig

    return EvaluatorRunConfig


def _release_config() -> type[Config]:
    from motionmill.generator.config import ReleaseConfig

    return ReleaseConfig


def _finetune_config() -> type[Config]:
    from motionmill.generator.config import FinetuneConfig

    return FinetuneConfig


_COMMANDS = {
    "generate": _Command(generate.generate),
    "convert": _Command(files.convert),
    "extract": _Command(extract.extract),
    "inspect": _Command(inspection.inspect),
    "data run": _Command(data.run, _data_config),
    "data status": _Command(data.status),
    "data why": _Command(data.why),
    "data refilter": _Command(data.refilter, makes=True),
    "data card": _Command(data.card),
    "data export": _Command(data.export),
    "data audit": _Command(data.audit),
    "train tokenizer": _Command(train.tokenizer, _tokenizer_config),
    "train generator": _Command(train.generator, _generator_config),
    "train ranker": _Command(train.ranker, _ranker_config),
    "train evaluator": _Command(evaluate.train_evaluator, _evaluator_config),
    "train plan": _Command(train.plan, _generator_config),
    "train export": _Command(train.export, _release_config),
    "finetune": _Command(finetune.finetune, _finetune_config),
    "evaluate": _Command(evaluate.evaluate),
    "report": _Command(evaluate.report),
    "benchmark generate": _Command(benchmark.generate),
    "benchmark rate": _Command(benchmark.rate),
    "benchmark judge": _Command(benchmark.judge),
    "serve": _Command(serve.serve),
    "import-official": _Command(models.import_official),
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
        print(_overview(_COMMANDS))
        return 0 if words else 2
    if words[0] == "--version":
        from motionmill import __version__

        print(f"motionmill {__version__}")
        return 0
    for length in (2, 1):
        name = " ".join(words[:length])
        if name in _COMMANDS:
            command, options = _COMMANDS[name], words[length:]
            if command.makes:
                function = command.run()
            elif command.config is None:
                function = command.run
            else:
                options = _recipe_as_option(command, options)
                function = _with_recipe(command, options)
            tyro.cli(function, prog=f"motionmill {name}", args=options)
            return 0
    group = [name for name in _COMMANDS if name.startswith(f"{words[0]} ")]
    if group and words[1:] in ([], ["-h"], ["--help"]):
        print(_overview(group))
        return 0 if words[1:] else 2
    close = difflib.get_close_matches(" ".join(words[:2]), _COMMANDS, 1, 0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"no command {words[0]!r}{hint} (motionmill --help lists them)")


def _recipe_as_option(command: _Command, options: list[str]) -> list[str]:
    """`motionmill data run RECIPE ...` is `--recipe RECIPE ...`, for commands that take no other first word."""
    import inspect as signatures

    parameters = signatures.signature(command.run).parameters.values()
    theirs = sum(one.kind is signatures.Parameter.POSITIONAL_ONLY for one in parameters)
    names_recipe = bool(options) and not options[0].startswith("-") and theirs == 0
    return ["--recipe", *options] if names_recipe else options


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


def _overview(names: Collection[str]) -> str:
    width = max(map(len, names)) + 2
    lines = ["motionmill: text in, an animated character out", "", "commands:"]
    lines += [f"  {name:<{width}}{_COMMANDS[name].purpose}" for name in names]
    lines += ["", "motionmill COMMAND --help shows its options; --debug anywhere shows tracebacks."]
    return "\n".join(lines)


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}"
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
