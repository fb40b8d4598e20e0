"""`motionmill generate`: sentences -> motion files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from motionmill.commands.options import ModelOptions, Outputs, RewriteOptions, SamplingOptions

_Unnamed = tyro.conf.arg(name="")


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
    candidates: int | None = None,
    cleanup: float = 1.0,
    model: Annotated[ModelOptions, _Unnamed] = ModelOptions(),  # noqa: B008
    sampling: Annotated[SamplingOptions, _Unnamed] = SamplingOptions(),  # noqa: B008
    rewrite: Annotated[RewriteOptions, _Unnamed] = RewriteOptions(),  # noqa: B008
) -> None:
    """A sentence -> a character that moves, in files for other programs.

    Args:
        prompt: what is done, in English.
        output: a file to write, by its suffix: .glb .fbx .bvh .usd .npz .npy .xml (MuJoCo) .mp4 .gif .png; may be given
            several times.
        seconds: length; without it the motion ends by itself.
        then: what is done after that and for how long, such as "a person waves:2"; may be given several times.
        after: a motion file that the new motion goes on from.
        prompts: a file of prompts instead, one a line or .jsonl; {} in the output's name is the line's number, and
            files that are there already are kept.
        samples: so many motions of the prompt, with seeds from --seed on; {} in the output's name is the seed.
        seed: another seed, another motion.
        candidates: so many motions are drawn and the one that fits the text best is kept; the model's own by default.
        cleanup: strength of the foot-lock clean-up, 0 to 1.
        model: which, and where it runs.
        sampling: other than the model's own.
        rewrite: of the prompt.
    """
    from motionmill import batch

    if not 0 <= cleanup <= 1:
        raise ValueError(f"--cleanup {cleanup}; expected 0 (raw) to 1")
    if prompts is not None and (prompt or then or after or samples != 1):
        raise ValueError("--prompts takes the place of a prompt, --then, --after and --samples")
    job = batch.Job(prompt, output, seconds, batch.read_parts(then), after, samples, seed)
    job.check() if prompts is None else batch.check_patterns(output)
    rewriting = rewrite.rewriting()
    pipeline = model.load()
    settings = {
        "sampling": pipeline.release.config.sampling.changed(sampling.model_dump()),
        "candidates": candidates,
        "cleanup": cleanup,
    }
    if prompts is not None:
        report = batch.run_file(
            pipeline, prompts, output, seconds=seconds, seed=seed, rewriting=rewriting, **settings
        )
        print(report)
        return
    if rewriting is not None:
        job = job.rewritten(rewriting)
        print(f"as understood: {job.words}")
    for line in job.run(pipeline, **settings):
        print(line)
