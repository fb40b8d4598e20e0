"""Blind ratings over HTTP: begun with motions of this server, with links for raters and what has come of them."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Response

from motionmill.server.answers import RatingId, made, problems
from motionmill.server.ratings import Entry, FullError, Rating, results
from motionmill.server.schemas import RatedSystem, RatingInfo, RatingList, RatingRequest
from motionmill.server.service import Here, Service

routes = APIRouter(prefix="/v1/ratings", tags=["ratings"])


@routes.post(
    "",
    status_code=201,
    response_model=RatingInfo,
    summary="Begin a blind rating",
    responses=problems(404, 409, 413, 503),
)
def begin(wanted: RatingRequest, here: Here) -> RatingInfo:
    """Motions of this server are copied; each rater gets a link, which needs no token."""
    systems = {
        name: [_entry(here, identity, system) for identity in system.motions]
        for name, system in wanted.systems.items()
    }
    try:
        rating = made(lambda: here.ratings.add(systems, num_raters=wanted.raters))
    except FullError:
        raise HTTPException(409, "there are too many ratings; delete one") from None
    return _info(rating)


@routes.get("", summary="The ratings of this server", responses=problems())
def ratings(here: Here) -> RatingList:
    """Newest first."""
    return RatingList(ratings=tuple(_info(each) for each in here.ratings.newest()))


@routes.get("/{rating_id}", summary="A rating and its results", responses=problems(404))
def rating(rating_id: RatingId, here: Here) -> RatingInfo:
    """How often each system was preferred, and its mean scores, by criterion."""
    found = here.ratings.get(rating_id)
    if found is None:
        raise HTTPException(404, "no such rating")
    return _info(found)


@routes.delete("/{rating_id}", status_code=204, summary="Forget a rating", responses=problems(404))
def forget(rating_id: RatingId, here: Here) -> Response:
    """Its links end and its votes are deleted."""
    if not here.ratings.remove(rating_id):
        raise HTTPException(404, "no such rating")
    return Response(status_code=204)


def _entry(here: Service, identity: str, system: RatedSystem) -> Entry:
    """One motion of a job, cleaned as asked when the rating is written."""
    job, path = here.motion(identity)
    cleanup = job.request.get("cleanup", 1.0) if system.cleanup is None else system.cleanup
    text = job.request.get("prompt") or "; ".join(
        part["prompt"] for part in job.request["timeline"]
    )
    return Entry(text, lambda: here.workshop.export(path, "npz", cleanup=cleanup))


def _info(rating: Rating) -> RatingInfo:
    store = rating.arena.store
    answered = {rater: store.num_answered(rater) for rater in store.links()}
    return RatingInfo(
        id=rating.id,
        created=rating.created,
        systems=rating.systems,
        prompts=len(rating.arena.suite.prompts),
        raters={rater: f"/rate/{link}/" for rater, link in store.links().items()},
        answered=answered,
        results=results(rating),
    )
