"""What routes may answer, in words for OpenAPI, and the making of files and of their refusals."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

from fastapi import HTTPException, Path, Query
from fastapi.responses import Response

from motionmill.server.schemas import MediaType, Names, Problem
from motionmill.server.workshop import BusyError

JobId = Annotated[
    str, Path(pattern="^[0-9a-f]{24}$", examples=["5f0c5d2b7d3e4a7f9c0b1a2d"], description="a job")
]
MotionId = Annotated[
    str,
    Path(
        pattern="^[0-9a-f]{24}-[0-9]$",
        examples=["5f0c5d2b7d3e4a7f9c0b1a2d-0"],
        description="a motion",
    ),
]
RatingId = Annotated[
    str,
    Path(pattern="^[0-9a-f]{24}$", examples=["0c1b2a3948576675849302af"], description="a rating"),
]
NamesOption = Annotated[Names, Query(description="what the joints are called in the file")]
Made = TypeVar("Made")

_WORDS = {
    400: "Not a request",
    401: "No token, or a wrong one (servers that have one)",
    404: "There is no such thing, or no more",
    409: "It has ended already, or there are too many",
    413: "Too many bytes",
    415: "Another content type",
    422: "The request makes no sense; `detail` says why",
    429: "The queue is full; `Retry-After` says when to come again",
    501: "A package for this format is not installed on the server",
    503: "Busy or stopping; `Retry-After` says when to come again",
}

_KINDS = sorted({kind.partition(";")[0] for kind in MediaType.values()})
FILES: Final[dict[str, Any]] = {
    "description": "The file",
    "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in _KINDS},
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer beside success, for OpenAPI."""
    content = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {
        status: {"description": _WORDS[status], "content": content}
        for status in sorted({*statuses, 400, 401, 422})
    }


def made(make: Callable[[], Made]) -> Made:
    """What the workshop makes, or the answer that says why not."""
    try:
        return make()
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    except ImportError as error:
        raise HTTPException(501, str(error)) from None
    except BusyError:
        raise HTTPException(503, "busy; come again", {"Retry-After": "5"}) from None


def file_answer(data: bytes, suffix: str, name: str) -> Response:
    """A file to take, under a name of our making."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.{suffix}"'}
    return Response(data, media_type=MediaType[suffix], headers=headers)


def file_name(request: dict[str, Any]) -> str:
    """A file name of what was asked: letters, digits and hyphens only."""
    text = request.get("prompt") or request["timeline"][0]["prompt"]
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "motion"
