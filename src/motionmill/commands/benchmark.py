"""`motionmill benchmark ...`: zero-shot prompts, motions for them, and who rates them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from motionmill.commands.options import Output, SamplingOptions


def generate(
    model: tyro.conf.Positional[str],
    /,
    output: Output,
    suite: str = "zero-shot",
    seeds: int = 1,
    seconds: float | None = None,
    cleanup: float = 1.0,
    device: str | None = None,
    name: str = "",
    candidates: int | None = None,
    sampling: Annotated[SamplingOptions, tyro.conf.arg(name="")] = SamplingOptions(),  # noqa: B008
) -> None:
    """A motion of every prompt of a suite, as SEED/ID.npz; other systems drop their files in the same layout.

    Args:
        model: a model's name or a release folder.
        output: gets the motions; what is there is not made again.
        suite: zero-shot (ships), or a file: .jsonl, or text with a prompt a line.
        seeds: 0, 1, 2, ...: so many motions of each prompt.
        seconds: length of all; by default each ends by itself.
        cleanup: strength of the foot-lock clean-up, 0 to 1.
        device: cpu, cuda, mps.
        name: of the system in ratings and reports; the model's by default, with what is other than its own.
        candidates: so many motions are drawn and the one that fits the text best is kept; the model's own by default.
        sampling: other than the model's own.
    """
    from motionmill.evaluation.benchmark import generate_suite
    from motionmill.evaluation.setting import setting_of
    from motionmill.evaluation.suite import load_suite
    from motionmill.pipeline import TextToMotion
    from motionmill.training.progress import progress_bar

    if seeds < 1:
        raise ValueError(f"--seeds {seeds}; expected 1 or more")
    if not 0 <= cleanup <= 1:
        raise ValueError(f"--cleanup {cleanup}; expected 0 (raw) to 1")
    prompts = load_suite(suite)
    for text, name in prompts.duplicates:
        print(f"{name}: {text[:60]!r} is there already; left out")
    pipeline = TextToMotion.from_pretrained(model, device=device)
    pipeline.check("a person", seconds)
    setting = setting_of(
        model, pipeline, changes=sampling.model_dump(), candidates=candidates, name=name
    )
    with progress_bar("motions") as progress:
        made = generate_suite(
            pipeline,
            setting,
            prompts,
            output,
            seeds=seeds,
            seconds=seconds,
            cleanup=cleanup,
            progress=progress,
        )
    print(f"{output}: {made.new} new motions, {made.kept} were there")


def judge(
    motions: tyro.conf.Positional[Path],
    /,
    output: Output,
    suite: str = "zero-shot",
    endpoint: str = "",
    endpoint_model: str = "",
    cache: Path | None = None,
    votes: Path | None = None,
) -> None:
    """Scores of a vision-language model for the motions of a suite; reported apart from people's.

    Args:
        motions: a folder of `benchmark generate`, or of any system in that layout.
        output: a .jsonl of scores; what was answered before is not asked again.
        suite: the suite that the motions are of.
        endpoint: base address of an OpenAI-compatible endpoint, such as http://localhost:8000/v1; MOTIONMILL_CHAT_URL
            by default (its key, if it needs one, from MOTIONMILL_CHAT_KEY).
        endpoint_model: name of the model there, one that sees pictures; MOTIONMILL_CHAT_MODEL by default.
        cache: folder of earlier answers; beside the output by default.
        votes: a database of `benchmark rate`; how far the judge agrees with its people is printed.
    """
    from motionmill.chat import Chat, Endpoint
    from motionmill.evaluation.benchmark import read_info
    from motionmill.evaluation.folder import MotionFolder
    from motionmill.evaluation.model_judge import agreement, judge_motions, save_scores
    from motionmill.evaluation.suite import load_suite
    from motionmill.server.arena_store import read_ratings
    from motionmill.training.progress import progress_bar

    chat = Chat(
        Endpoint.from_environment(url=endpoint, model=endpoint_model),
        cache=cache or output.with_name(f".{output.name}-answers"),
    )
    folder, prompts = MotionFolder(motions), load_suite(suite)
    people = None if votes is None else read_ratings(votes, prompts, ()).scores
    with progress_bar("motions") as progress:
        found = judge_motions(chat, prompts, folder, read_info(motions).system, progress=progress)
    save_scores(found.scores, output)
    rated, usage = len(prompts.prompts) - len(found.failures), chat.usage
    print(
        f"{output}: {rated} of {len(prompts.prompts)} motions rated; {usage.requests} requests, "
        f"{usage.cached} answers known, {usage.prompt_tokens + usage.answer_tokens} tokens, ${usage.dollars:.2f}"
    )
    for name, reason in sorted(found.failures.items())[:5]:
        print(f"  {name}: {reason}")
    if people is not None:
        for criterion, (alpha, count) in agreement(found.scores, people).items():
            shown = "not to be told" if alpha is None else f"alpha {alpha:.2f}"
            print(f"  {criterion}: agreement with people {shown}, {count} motions in common")
    if not rated:
        raise RuntimeError(f"no motion was rated; the first: {next(iter(found.failures.values()))}")


def rate(
    motions: tyro.conf.Positional[tuple[Path, ...]],
    /,
    output: Output,
    suite: str = "zero-shot",
    raters: int = 3,
    kinds: tuple[Literal["pair", "single", "check"], ...] = ("pair", "single", "check"),
    host: str = "127.0.0.1",
    port: int = 8001,
) -> None:
    """Blind rating in the browser, by any number of people at the same time.

    Args:
        motions: folders of `benchmark generate`, or of any system in that layout.
        output: the database of votes; what is in it stays, and the raters' links with it.
        suite: the suite that the motions are of.
        raters: how many people get a link; raised later, the old links stay.
        kinds: pair (which is better), single (scores 1 to 4), check (planted: a motion against itself scrambled).
        host: where to listen; anyone who reaches it and has a link can rate.
        port: the port; 0 for any free one.
    """
    from motionmill.extras import require

    require("fastapi", extra="server")
    from motionmill.server.serving import serve_arena

    serve_arena(motions, output, suite, num_raters=raters, kinds=kinds, host=host, port=port)
