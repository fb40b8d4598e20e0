"""Blind ratings within the studio: begun with motions of its jobs, answered by link, kept and counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra server is not installed")

from motionmill.evaluation.ratings import CRITERIA
from motionmill.evaluation.suite import load_suite
from motionmill.server import ratings
from motionmill.server.arena_store import read_ratings
from tests.server import serving_app
from tests.server.test_api import check_problem, make

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rated")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Any]:
    with serving_app.client(serving_app.pipeline(), folder, token=TOKEN) as made:
        made.headers["Authorization"] = f"Bearer {TOKEN}"
        yield made


def motions(client: Any) -> list[str]:
    prompts = ("a person bows", "a person <b>waves</b>")
    jobs = [make(client, {"prompt": text, "seconds": 1, "candidates": 1}) for text in prompts]
    return [job["motions"][0]["id"] for job in jobs]


def test_from_two_jobs_to_results(client: Any, folder: Path) -> None:
    names = motions(client)
    systems = {
        "raw": {"motions": names, "cleanup": 0},
        "../cleaned": {"motions": names, "cleanup": 1},
    }
    answer = client.post("/v1/ratings", json={"systems": systems, "raters": 2})
    assert answer.status_code == 201, answer.text
    rating = answer.json()
    assert (rating["systems"], rating["prompts"]) == (["raw", "../cleaned"], 2)
    assert list(rating["raters"]) == ["rater-1", "rater-2"]
    del client.headers["Authorization"]  # a rater has a link, and no token
    try:
        page = rating["raters"]["rater-1"]
        assert "<h1" in client.get(page).text
        assert "default-src 'none'" in client.get(page).headers["content-security-policy"]
        check_problem(client.get("/v1/ratings"), 401)
        heard, asked = "", 0
        while (question := client.get(f"{page}task").json())["task"] is not None:
            task = question["task"]
            shown = [client.get(f"{page}task/{task['name']}/{k}") for k in range(task["motions"])]
            assert all(each.json()["frames"] > 20 for each in shown)
            value = 1 if task["motions"] == 2 else 4
            sent = client.post(
                f"{page}task/{task['name']}", json={"answers": dict.fromkeys(CRITERIA, value)}
            )
            assert sent.json() == {"new": True}
            heard, asked = heard + str(question), asked + 1
        assert "cleaned" not in heard
        assert "system-" not in heard
        check_problem(client.get("/rate/a-wrong-link/task"), 404)
        check_problem(client.get("/rate/a-wrong-link/"), 404)
        shell = client.get("/rate/")  # as the studio's page it is open, and what it shows is not
        assert shell.status_code == 200
        assert rating["id"] not in shell.text
        for method, at in (
            ("GET", ""),
            ("POST", ""),
            ("GET", "/x"),
            ("DELETE", f"/{rating['id']}"),
        ):
            check_problem(client.request(method, f"/v1/ratings{at}"), 401)
        wrong = {"Authorization": "Bearer a-token-of-some-other"}
        check_problem(client.get("/v1/ratings", headers=wrong), 401)
    finally:
        client.headers["Authorization"] = f"Bearer {TOKEN}"

    known = client.get(f"/v1/ratings/{rating['id']}").json()
    assert known["answered"] == {"rater-1": asked, "rater-2": 0}
    for criterion in CRITERIA:
        raw, cleaned = (known["results"][name][criterion] for name in ("raw", "../cleaned"))
        assert raw["won"] + raw["lost"] == 2
        assert (raw["won"], raw["lost"]) == (cleaned["lost"], cleaned["won"])
        assert raw["score"] == cleaned["score"] == 4
    kept = folder / "ratings" / rating["id"]
    read = read_ratings(kept / "votes.db", load_suite(kept / "prompts.jsonl"), ())
    assert len(read.votes) == 2 * len(CRITERIA)

    again = ratings.Ratings(folder / "ratings")  # as after a restart
    assert ratings.results(again.newest()[0]) == known["results"]
    again.close()
    assert client.delete(f"/v1/ratings/{rating['id']}").status_code == 204
    assert not kept.exists()
    check_problem(client.get(f"/v1/ratings/{rating['id']}"), 404)
    check_problem(client.get(f"{page}task"), 404)


def test_ratings_that_cannot_be(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = {"systems": {"a": {"motions": [f"{'0' * 24}-0"]}}}
    check_problem(client.post("/v1/ratings", json=unknown), 404)
    for wrong in (
        {"systems": {}},
        {"systems": {"a": {"motions": []}}},
        {"systems": {"a": {"motions": ["../../x"]}}},
        {"systems": {"a": {"motions": [f"{'0' * 24}-0"] * 40}, "b": {"motions": ["0-0"] * 40}}},
        unknown | {"raters": 1000},
    ):
        check_problem(client.post("/v1/ratings", json=wrong), 422)
    monkeypatch.setattr(ratings, "MAX_RATINGS", 0)
    one = {"systems": {"a": {"motions": motions(client)}}}
    check_problem(client.post("/v1/ratings", json=one), 409)


def test_a_damaged_rating_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/rating.json").write_text("{")
    with pytest.raises(ValueError, match=r"x/rating.json: damaged .*; delete"):
        ratings.Ratings(tmp_path)
