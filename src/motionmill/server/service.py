"""What the routes of a server work with, found by FastAPI for each request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from motionmill.server.ratings import Ratings
from motionmill.server.runner import Runner
from motionmill.server.store import StoredJob
from motionmill.server.workshop import Workshop


@dataclass(frozen=True)
class Service:
    """One server: what makes motions, what makes files, what looks at videos, and who rates what."""

    runner: Runner
    workshop: Workshop
    videos: Workshop
    ratings: Ratings

    def job(self, name: str) -> StoredJob:
        """A stored job, or the answer that there is none."""
        job = self.runner.store.get(name)
        if job is None:
            raise HTTPException(404, "no such job, or it has been forgotten")
        return job

    def motion(self, identity: str) -> tuple[StoredJob, Path]:
        """The job and the raw file of a finished motion, or the answer that there is none."""
        job = self.job(identity.partition("-")[0])
        if job.state != "done" or identity not in {each["id"] for each in job.motions}:
            raise HTTPException(404, "no such motion, or it is not finished")
        return job, self.runner.store.motions / f"{identity}.npz"  # the id is one of the database's


async def _service(request: Request) -> Service:
    """The service of the application (no thread is needed to look)."""
    service: Service = request.app.state.service
    return service


Here = Annotated[Service, Depends(_service)]
