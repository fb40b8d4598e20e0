"""Who is asked what: balanced, blind to sides, the same after a restart."""

from __future__ import annotations

from collections import Counter, defaultdict

from motionmill.server.arena_tasks import SCRAMBLED, Assignment, Task

PRESENT = {name: [(f"p{k}", 0) for k in range(12)] for name in ("a", "b", "c")}


def session(assignment: Assignment, raters: int, each: int) -> dict[str, list[Task]]:
    """Raters in turn, each so many tasks."""
    given: dict[str, list[Task]] = defaultdict(list)
    for _ in range(each):
        for rater in range(raters):
            task = assignment.next(f"r{rater}", given)
            assert task is not None
            given[f"r{rater}"].append(task)
    return given


def test_every_system_and_prompt_is_seen_equally_often() -> None:
    given = session(Assignment(PRESENT), raters=3, each=40)
    tasks = [task for rater in given.values() for task in rater]
    pairs = Counter(tuple(sorted(task.shown)) for task in tasks if task.kind == "pair")
    singles = Counter(task.shown for task in tasks if task.kind == "single")
    assert len(pairs) == 3
    assert max(pairs.values()) - min(pairs.values()) <= 1
    assert max(singles.values()) - min(singles.values()) <= 1
    prompts = Counter(task.prompt for task in tasks)
    assert max(prompts.values()) - min(prompts.values()) <= 2
    assert 3 * 3 <= sum(task.kind == "check" for task in tasks) <= 3 * 5


def test_nobody_is_asked_the_same_twice_and_everything_is_asked() -> None:
    assignment = Assignment(PRESENT)
    given: dict[str, list[Task]] = {"r": []}
    while (task := assignment.next("r", given)) is not None:
        given["r"].append(task)
    assert len(given["r"]) == len(assignment) == 3 * 12 + 3 * 12 + 3 * 12
    assert len({task.question for task in given["r"]}) == len(given["r"])


def test_raters_meet_on_some_motions_before_all_are_rated() -> None:
    """Without that, agreement could not be told of a session that ends early."""
    given = session(Assignment(PRESENT), raters=3, each=15)
    for kind in ("pair", "single"):
        seen = Counter(task.question for own in given.values() for task in own if task.kind == kind)
        assert seen.total() < 36  # there are more to ask
        assert sum(count > 1 for count in seen.values()) >= 3


def test_sides_are_drawn_for_each_rater() -> None:
    given = session(Assignment(PRESENT, kinds=("pair",)), raters=8, each=36)
    lefts: dict[object, set[str]] = defaultdict(set)
    first = Counter[bool]()
    for rater in given.values():
        for task in rater:
            lefts[task.question].add(task.shown[0])
            first[task.shown[0] < task.shown[1]] += 1
    assert sum(len(sides) == 2 for sides in lefts.values()) > 30
    assert 0.4 < first[True] / first.total() < 0.6


def test_a_restart_changes_nothing() -> None:
    first, again = (session(Assignment(PRESENT, order="x"), raters=2, each=20) for _ in range(2))
    assert first == again


def test_one_system_alone_gets_scores_and_checks() -> None:
    given = session(Assignment({"a": PRESENT["a"]}), raters=1, each=24)
    kinds = Counter(task.kind for task in given["r0"])
    assert set(kinds) == {"single", "check"}
    assert all(SCRAMBLED in task.shown for task in given["r0"] if task.kind == "check")
