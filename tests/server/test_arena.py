"""The arena: nothing tells which system is which, answers are kept once, bad requests are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import motionmill
from motionmill.chat import Chat, Endpoint
from motionmill.evaluation.folder import MotionFolder
from motionmill.evaluation.model_judge import agreement, judge_motions
from motionmill.evaluation.ratings import CRITERIA
from motionmill.evaluation.suite import load_suite
from motionmill.server.arena import Arena, scrambled
from motionmill.server.arena_tasks import SCRAMBLED
from tests.fake_endpoint import running, says
from tests.motions import wandering

testclient = pytest.importorskip("fastapi.testclient", reason="the extra server is not installed")
NAMES = ("alpha-system", "beta-system")
SAME = dict.fromkeys(CRITERIA, 0)


def motion_folders(place: Path, prompts: int = 6) -> tuple[Path, list[Path]]:
    """A suite file and two systems' motions for it."""
    suite = place / "suite.jsonl"
    rows = [{"id": f"p{k}", "prompt": f"prompt <b>{k}</b>"} for k in range(prompts)]
    suite.write_text("".join(json.dumps(row) + "\n" for row in rows))
    folders = []
    for number, name in enumerate(NAMES):
        folder = place / name
        folder.mkdir()
        for k in range(prompts):
            motionmill.save(wandering(10 * number + k, 40), folder / f"p{k}.npz")
        folders.append(folder)
    return suite, folders


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    suite, folders = motion_folders(tmp_path)
    arena = Arena(load_suite(suite), folders, tmp_path / "votes.db")
    arena.store.add_raters(2)
    yield arena
    arena.store.close()


def test_a_rater_is_never_told_a_name(arena: Arena) -> None:
    from motionmill.server.arena_app import arena_app

    client = testclient.TestClient(arena_app(arena))
    link = arena.store.links()["rater-1"]
    heard = client.get(f"/rate/{link}/").text
    for _ in range(30):
        answer = client.get(f"/rate/{link}/task")
        heard += answer.text + str(answer.headers)
        task = answer.json()["task"]
        if task is None:
            break
        for side in range(task["motions"]):
            answer = client.get(f"/rate/{link}/task/{task['name']}/{side}")
            assert answer.json()["frames"] == 40
            heard += str(answer.headers) + str(sorted(set(answer.json()) - {"joints"}))
        value = 0 if task["motions"] == 2 else 3
        sent = {"answers": dict.fromkeys(CRITERIA, value)}
        assert client.post(f"/rate/{link}/task/{task['name']}", json=sent).json() == {"new": True}
    for name in (*NAMES, SCRAMBLED, "alpha", "beta"):
        assert name not in heard
    votes = arena.store.votes()
    assert {vote.winner for vote in votes} == {None}
    assert len(votes) == 6 * 3
    assert len(arena.store.scores()) == 12 * 3
    assert {score.value for score in arena.store.scores()} == {3}


def test_an_answer_is_kept_once(arena: Arena) -> None:
    task = arena.next("rater-1")
    assert task is not None
    assert arena.next("rater-1") == task  # the same until it is answered
    better = dict.fromkeys(CRITERIA, -1)
    assert arena.answer("rater-1", task.name, better)
    assert not arena.answer("rater-1", task.name, SAME)
    assert [vote.winner for vote in arena.store.votes()] == [task.task.shown[0]] * 3
    again = arena.next("rater-1")
    assert again is not None
    assert again.name != task.name


def test_a_rater_cannot_answer_for_another(arena: Arena) -> None:
    task = arena.next("rater-1")
    assert task is not None
    with pytest.raises(KeyError):
        arena.answer("rater-2", task.name, SAME)
    with pytest.raises(KeyError):
        arena.motion("rater-2", task.name, 0)
    with pytest.raises(KeyError):
        arena.motion("rater-1", task.name, 2)


@pytest.mark.parametrize(
    "answers",
    [{}, {CRITERIA[0]: 0}, {**SAME, CRITERIA[2]: 2}, {**SAME, "speed": 1}],
)
def test_half_answers_are_refused(arena: Arena, answers: dict[str, int]) -> None:
    task = arena.next("rater-1")
    assert task is not None
    with pytest.raises(ValueError, match="expected text alignment"):
        arena.answer("rater-1", task.name, answers)
    assert arena.next("rater-1") == task


def test_bad_requests(arena: Arena) -> None:
    from motionmill.server.arena_app import arena_app

    client = testclient.TestClient(arena_app(arena), raise_server_exceptions=False)
    link = arena.store.links()["rater-1"]
    task = client.get(f"/rate/{link}/task").json()["task"]["name"]
    assert client.get("/rate/wrong-link-1/task").status_code == 404
    assert client.get(f"/rate/{link}/task/{task}/7").status_code == 404
    assert client.get(f"/rate/{link}/task/{task}/x").status_code == 422
    assert client.get("/static/..%2Farena.py").status_code == 404
    assert client.get("/static/rate.html").status_code == 404  # only through a link
    assert client.get("/static/rate.js").status_code == 200
    assert client.post(f"/rate/{link}/task/{task}", json={"answers": {"x": 1}}).status_code == 422
    assert client.post(f"/rate/{link}/task/{task}", content=b"x" * 10000).status_code == 413
    assert client.post(f"/rate/{link}/task/{task}", content=b"[" * 2000).status_code == 422
    answer = client.get(f"/rate/{link}/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert arena.store.votes() == []


def test_checks_tell_who_looks(arena: Arena) -> None:
    for rater, careful in (("rater-1", True), ("rater-2", False)):
        while (task := arena.next(rater)) is not None:
            if task.task.kind == "check":
                scrambled_left = task.task.shown[0] == SCRAMBLED
                better = 1 if scrambled_left == careful else -1
                arena.answer(rater, task.name, dict.fromkeys(CRITERIA, better))
            else:
                value = 0 if len(task.task.shown) == 2 else 2
                arena.answer(rater, task.name, dict.fromkeys(CRITERIA, value))
    assert arena.store.checks() == {"rater-1": (12, 12), "rater-2": (0, 12)}


def test_votes_go_on_after_a_restart_and_only_on_the_same_motions(
    arena: Arena, tmp_path: Path
) -> None:
    task = arena.next("rater-1")
    assert task is not None
    arena.answer("rater-1", task.name, SAME)
    second = arena.next("rater-1")
    links = arena.store.links()
    arena.store.close()
    suite = load_suite(tmp_path / "suite.jsonl")
    folders = [tmp_path / name for name in NAMES]
    again = Arena(suite, folders, tmp_path / "votes.db")
    again.store.add_raters(3)
    assert {name: again.store.links()[name] for name in links} == links
    assert again.next("rater-1") == second
    assert len(again.store.votes()) == 3
    again.store.close()
    with pytest.raises(ValueError, match="votes on other motions"):
        Arena(suite, folders[:1], tmp_path / "votes.db")
    (tmp_path / "notes.txt").write_text("no database " * 100)
    with pytest.raises(ValueError, match="not a database of votes"):
        Arena(suite, folders, tmp_path / "notes.txt")


def test_a_model_judge_meets_people_on_the_same_motions(arena: Arena, tmp_path: Path) -> None:
    while (task := arena.next("rater-1")) is not None:
        value = 0 if len(task.task.shown) == 2 else 1 + int(task.task.prompt[1:]) % 4
        arena.answer("rater-1", task.name, dict.fromkeys(CRITERIA, value))
    names = ("text_alignment", "motion_smoothness", "physical_plausibility")
    with running() as endpoint:
        endpoint.script = [says(json.dumps(dict.fromkeys(names, 3)))]
        folder = MotionFolder(tmp_path / NAMES[0])
        chat = Chat(Endpoint(endpoint.url, "eyes"))
        judged = judge_motions(chat, arena.suite, folder, NAMES[0])
    found = agreement(judged.scores, arena.store.scores())
    assert {motions for _, motions in found.values()} == {6}


def test_files_that_are_no_motions_are_shown_to_nobody(tmp_path: Path) -> None:
    suite, folders = motion_folders(tmp_path)
    (folders[0] / "p0.npz").write_bytes(b"PK")
    arena = Arena(load_suite(suite), folders, tmp_path / "votes.db", kinds=("pair",))
    assert list(arena.unreadable) == [f"{NAMES[0]}/0/p0"]
    arena.store.add_raters(1)
    prompts = set()
    while (task := arena.next("rater-1")) is not None:
        prompts.add(task.task.prompt)
        arena.answer("rater-1", task.name, SAME)
    assert prompts == {f"p{k}" for k in range(1, 6)}
    assert arena.missing == {NAMES[0]: ["p0"], NAMES[1]: []}


def test_folders_without_any_of_the_prompts_are_refused(tmp_path: Path) -> None:
    suite, folders = motion_folders(tmp_path)
    suite.write_text('{"id": "wave", "prompt": "a person waves"}\n')
    with pytest.raises(ValueError, match=r"nothing to rate: .* such as wave\.npz"):
        Arena(load_suite(suite), folders, tmp_path / "votes.db")


def test_a_scrambled_motion_jumps() -> None:
    motion = wandering(0, 60)
    made = scrambled(motion, seed="p")
    assert len(made) == len(motion)

    def roughness(m: motionmill.Motion) -> float:
        return float(m.joints().diff(n=2, dim=0).norm(dim=-1).mean())

    assert roughness(made) > 3 * roughness(motion)
