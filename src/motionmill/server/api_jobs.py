"""Jobs over HTTP: how they are, what happens to them, their end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from motionmill.server.answers import JobId, problems
from motionmill.server.live import Live, event
from motionmill.server.runner import Runner
from motionmill.server.schemas import Job, JobList
from motionmill.server.service import Here
from motionmill.server.store import StoredJob

ENDED = ("done", "failed", "cancelled")
routes = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@routes.get("", summary="The newest jobs", responses=problems())
def jobs(here: Here, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> JobList:
    """Jobs of all states, newest first."""
    return JobList(jobs=tuple(as_job(here.runner, job) for job in here.runner.store.newest(limit)))


@routes.get("/{job_id}", summary="A job", responses=problems(404))
def job(job_id: JobId, here: Here) -> Job:
    """How a job is, and when it is done, its motions with their addresses."""
    return as_job(here.runner, here.job(job_id))


@routes.delete("/{job_id}", summary="Cancel a job", responses=problems(404, 409))
def cancel(job_id: JobId, here: Here) -> Job:
    """The job leaves the queue, or the engine before its next step; what had come of it is forgotten."""
    known = here.job(job_id)
    if not here.runner.cancel(job_id):
        raise HTTPException(409, f"the job has ended: {known.state}")
    return as_job(here.runner, here.job(job_id))


@routes.get(
    "/{job_id}/events",
    summary="What happens to a job, as server-sent events",
    response_class=StreamingResponse,
    responses={
        200: {"description": "Events", "content": {"text/event-stream": {}}},
        **problems(404),
    },
)
async def events(job_id: JobId, here: Here) -> StreamingResponse:
    """Events: queued {position}, encoding, tokens {sample, part, tokens}, frames {sample, start, frames, fps,
    rotations, root}, then one of done {job}, failed {reason}, cancelled.

    Frames are raw; rotations are (T, 22, 4) quaternions xyzw in units of 1/32767, int16, and root is (T, 3) float32,
    little endian, base64. Frames that begin at an earlier start replace what was there. Reading again gives all events
    of a running job again.
    """
    await run_in_threadpool(here.job, job_id)
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(
        watch(here.runner, job_id), media_type="text/event-stream", headers=headers
    )


def as_job(runner: Runner, job: StoredJob) -> Job:
    """What clients are told of a stored job."""
    position = runner.store.position(job) if job.state == "queued" else None
    return Job.model_validate(
        {
            "id": job.id,
            "state": job.state,
            "position": position,
            "created": job.created,
            "finished": job.finished,
            "request": job.request,
            "reason": job.reason,
            "motions": job.motions,
        }
    )


async def watch(runner: Runner, name: str) -> AsyncIterator[str]:
    """The events of a job as text; ends with the job, or with the server."""
    live = runner.live(name)
    job = await run_in_threadpool(runner.store.get, name)
    if job is not None and job.state not in ENDED:
        position = await run_in_threadpool(runner.store.position, job)
        async for text in _with_positions(live, position):
            yield text
        job = await run_in_threadpool(runner.store.get, name)
    if job is not None and job.state in ENDED:
        runner.forget(name)
        yield _ending(runner, job)


async def _with_positions(live: Live, position: int) -> AsyncIterator[str]:
    """The live events, and the place in the queue as it changes; the ending is told by the caller."""
    told = 0
    async for text in live.read():
        if text is not None:
            yield text
            continue
        now = live.position or position
        if not live.begun and now not in (0, told):  # 0: it has just begun
            told = now
            yield event("queued", position=now)


def _ending(runner: Runner, job: StoredJob) -> str:
    match job.state:
        case "done":
            return event("done", job=as_job(runner, job).model_dump(mode="json"))
        case "failed":
            return event("failed", reason=job.reason)
        case _:
            return event("cancelled")
