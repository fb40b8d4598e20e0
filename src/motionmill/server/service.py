"""What the routes of a server work with, found by FastAPI for each request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from motionmill.server.runner import Runner
from motionmill.server.store import StoredJob
from motionmill.server.workshop import Workshop


@dataclass(frozen=True)
class Service:
    """One server: what makes motions, what makes files, and what looks at videos."""

    runner: Runner
    workshop: Workshop
    videos: Workshop

    def job(self, name: str) -> StoredJob:
        """A stored job, or the answer that there is none."""
        job = self.runner.store.get(name)
        if job is None:
            raise HTTPException(404, "no such job, or it has been forgotten")
        return job


async def _service(request: Request) -> Service:
    """The service of the application (no thread is needed to look)."""
    service: Service = request.app.state.service
    return service


Here = Annotated[Service, Depends(_service)]
