"""Motions over HTTP: asked for, taken as files, converted from files of the client."""

from __future__ import annotations

import random
from typing import Annotated

from fastapi import APIRouter, Body, HTTPException, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from motionmill.pipeline import TextToMotion
from motionmill.server.answers import (
    FILES,
    MotionId,
    NamesOption,
    file_answer,
    file_name,
    made,
    problems,
)
from motionmill.server.api_jobs import as_job
from motionmill.server.schemas import MAX_SEED, Job, MotionRequest, Source, Suffix
from motionmill.server.service import Here
from motionmill.server.store import QueueFullError

Cleanup = Annotated[
    float | None,
    Query(ge=0, le=1, description="strength of the foot-lock clean-up, 0 raw; as in the request"),
]
_ACCEPTED = {
    "description": "Accepted",
    "headers": {"Location": {"schema": {"type": "string"}, "description": "of the job"}},
}
_PEOPLE = {
    "headers": {
        "Motion-People": {"schema": {"type": "integer"}, "description": "how many were found"}
    }
}
routes = APIRouter(prefix="/v1/motions", tags=["motions"])


@routes.post(
    "",
    status_code=202,
    response_model=Job,
    responses={202: _ACCEPTED, **problems(413, 429, 503)},
    summary="Ask for a motion",
)
def create(wanted: MotionRequest, response: Response, here: Here) -> Job:
    """The job waits for its turn; `Location` is its address."""
    runner = here.runner
    if runner.stopping:
        raise HTTPException(503, "the server is stopping", {"Retry-After": "10"})
    wanted = _checked(wanted, runner.pipeline)
    try:
        job = runner.store.add(wanted.model_dump(mode="json", exclude_none=True))
    except QueueFullError:
        wait = {"Retry-After": str(runner.retry_after())}
        raise HTTPException(429, "the queue is full; come again", wait) from None
    runner.submitted()
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return as_job(runner, job)


@routes.get(
    "/{motion_id}.{suffix}",
    summary="A motion as a file",
    response_class=Response,
    responses={200: FILES, **problems(404, 501, 503)},
)
def motion(
    motion_id: MotionId,
    suffix: Suffix,
    here: Here,
    names: NamesOption = "smpl",
    cleanup: Cleanup = None,
) -> Response:
    """A finished motion in a format, made when it is first asked for unless the job had asked before."""
    known, raw = here.motion(motion_id)
    plain = cleanup is None and names == "smpl" and suffix != "npz"
    kept = raw.with_suffix(f".{suffix}")
    if plain and kept.is_file():
        data = kept.read_bytes()
    else:
        options = {
            "cleanup": known.request.get("cleanup", 1.0) if cleanup is None else cleanup,
            "names": names,
            "licence": here.runner.pipeline.release.config.licence,
        }
        data = made(lambda: here.workshop.export(raw, suffix, **options))
        if plain:
            here.runner.store.keep(motion_id, suffix, data)
    return file_answer(data, suffix, f"{file_name(known.request)}-{motion_id[-1]}")


@routes.post(
    "/convert",
    summary="A motion file in, another format out",
    response_class=Response,
    responses={200: FILES, **problems(413, 415, 501, 503)},
)
async def convert(
    source: Annotated[Source, Query(alias="from", description="format of the file")],
    data: Annotated[bytes, Body(media_type="application/octet-stream", min_length=1)],
    here: Here,
    to: Suffix = Suffix.glb,
    names: NamesOption = "smpl",
    cleanup: Annotated[float, Query(ge=0, le=1)] = 0.0,
) -> Response:
    """The motion of a file of yours on our skeleton; nothing of it is kept."""
    options = {"names": names, "cleanup": cleanup}
    converted = await run_in_threadpool(
        made, lambda: here.workshop.convert(data, source, to, **options)
    )
    return file_answer(converted, to, "motion")


@routes.post(
    "/extract",
    summary="A video in, the motion of a person in it out",
    response_class=Response,
    responses={200: FILES | _PEOPLE, **problems(413, 415, 501, 503)},
)
async def extract(
    data: Annotated[bytes, Body(media_type="application/octet-stream", min_length=12)],
    here: Here,
    to: Suffix = Suffix.glb,
    person: Annotated[int, Query(ge=1, le=50, description="those longest in sight first")] = 1,
    names: NamesOption = "smpl",
) -> Response:
    """MP4, MOV, WebM, Matroska, AVI or GIF of up to a minute; people have to be seen from head to foot.

    The answer's header `Motion-People` says how many were found; nothing of the video is kept.
    """
    extracted, people = await run_in_threadpool(
        made, lambda: here.videos.extract(data, to, person, names=names)
    )
    answer = file_answer(extracted, to, f"person-{person}")
    answer.headers["Motion-People"] = str(people)
    return answer


def _checked(wanted: MotionRequest, pipeline: TextToMotion) -> MotionRequest:
    """A request that this model can fulfil, with a seed; else the answer that says why not."""
    try:
        for part in wanted.parts:
            pipeline.check(part.prompt, part.seconds)
        pipeline.tokens.num_candidates(wanted.candidates)
        pipeline.release.config.sampling.changed(wanted.sampling.model_dump())
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    if wanted.seed is None:
        wanted = wanted.model_copy(update={"seed": random.SystemRandom().randrange(1_000_000)})
    if (wanted.seed or 0) + wanted.samples + len(wanted.parts) > MAX_SEED:
        raise HTTPException(422, f"the last seed is above {MAX_SEED}; expected a smaller one")
    return wanted
