"""Work on several processes: every job is answered whatever becomes of the processes, and none of them is left."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from motionmill.formats.workers import num_cores, on_processes

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120.0  # that a busy machine may take for what takes a moment


def double(job: int) -> tuple[int, int]:
    time.sleep(0.02)
    return 2 * job, os.getpid()


def die_at_three(job: int) -> int:
    if job == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return job


def die_the_first_time(folder: Path, job: int) -> int:
    mark = folder / str(job)
    if job % 2 and not mark.exists():
        mark.touch()
        os._exit(7)
    return job


def refuse(job: int) -> int:
    raise ImportError(f"no package for {job}", name="package")


def hold(folder: Path, job: int) -> int:
    """Takes for ever, with something on the disk that must not be left there."""
    with tempfile.TemporaryDirectory(prefix="half-", dir=folder) as made:
        Path(
            made, "begun"
        ).touch()  # from here on an end takes it away; between making and entering it would not
        time.sleep(1000 + job)
    return job


def test_every_job_is_answered() -> None:
    answers = dict(on_processes(double, range(20), 2))
    assert {job: value for job, (value, _) in answers.items()} == {n: 2 * n for n in range(20)}
    pids = {pid for _, pid in answers.values()}
    assert os.getpid() not in pids
    assert len(pids) == 2
    assert list(on_processes(double, [], 2)) == []


def test_a_job_that_kills_its_process_is_told_and_the_others_are_done() -> None:
    answers = list(on_processes(die_at_three, range(8), 2))
    assert sorted(answers) == [(n, None if n == 3 else n) for n in range(8)]
    assert multiprocessing.active_children() == []


def test_a_job_that_lost_its_process_is_tried_again(tmp_path: Path) -> None:
    work = functools.partial(die_the_first_time, tmp_path)
    assert sorted(on_processes(work, range(5), 2)) == [(n, n) for n in range(5)]


def test_what_the_work_raises_is_raised() -> None:
    with pytest.raises(ImportError, match="no package for 0") as raised:
        list(on_processes(refuse, [0], 1))
    assert raised.value.name == "package"
    assert multiprocessing.active_children() == []


def test_closing_it_ends_what_is_under_way(tmp_path: Path) -> None:
    answers = on_processes(functools.partial(hold, tmp_path), range(4), 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("motionmill.formats.workers.wait", lambda _: wait_for_two(tmp_path))
        with pytest.raises(KeyboardInterrupt):
            next(answers)
    assert multiprocessing.active_children() == []
    assert list(tmp_path.iterdir()) == []


def wait_for_two(folder: Path) -> list[object]:
    """In the place of waiting for answers: Ctrl-C, as soon as two processes are at work."""
    wait_until(lambda: len(list(folder.glob("half-*/begun"))) == 2)
    raise KeyboardInterrupt


def test_a_script_without_a_main_guard_is_told(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from motionmill.formats.workers import on_processes\nlist(on_processes(abs, [1], 1))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert "needs `if __name__ == '__main__':` around its work" in done.stderr


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("number", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 1), ("SIGKILL", -9)]
)
def test_no_process_is_left(tmp_path: Path, number: str, code: int) -> None:
    """However the one that started them ends."""
    words = (
        "import functools, pathlib, signal, sys\n"
        # Whoever runs the tests in the background has them ignored, and what is ignored is inherited.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "from tests.formats.test_workers import hold, on_processes\n"
        "from motionmill.formats.workers import tidy_end\n"
        "with tidy_end():\n"
        "    try: list(on_processes(functools.partial(hold, pathlib.Path(sys.argv[1])), [1, 2, 3], 2))\n"
        "    except KeyboardInterrupt: sys.exit(1)\n"
    )
    with session([sys.executable, "-c", words, str(tmp_path)]) as process:
        wait_until(lambda: len(list(tmp_path.glob("half-*/begun"))) == 2, process)
        assert len(alive(process.pid)) >= 3
        process.send_signal(getattr(signal, number))
        assert process.wait(SECONDS) == code
        wait_until(lambda: not alive(process.pid))
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_folder_with_a_long_path(tmp_path: Path) -> None:
    """The path of a socket has 107 bytes at most: there is none then, and the work is done all the same."""
    folder = tmp_path / ("long " * 20)
    folder.mkdir()
    words = (
        "from motionmill.formats.workers import can_fork_of_a_server, on_processes\n"
        "from tests.formats.test_workers import double\n"
        "if __name__ == '__main__':\n"
        "    print(can_fork_of_a_server(), [job for job, _ in on_processes(double, [1], 1)])\n"
    )
    script = tmp_path / "script.py"
    script.write_text(words)
    done = subprocess.run(
        [sys.executable, script], cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "TMPDIR": str(folder)},
    )  # fmt: skip
    assert done.stdout == "False [1]\n", done.stderr


def test_a_core_at_least() -> None:
    assert 1 <= num_cores() <= (os.cpu_count() or 1)


@contextmanager
def session(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that leads a session of its own; at the end everything in the session is killed."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
    )  # fmt: skip
    try:
        yield process
    finally:
        for pid in alive(process.pid):
            os.kill(pid, signal.SIGKILL)
        if not process.stdout.closed:
            process.communicate()


def alive(leader: int) -> list[int]:
    """The processes of a session that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, sid = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(sid) == leader and state != "Z":
            found.append(int(stat.parent.name))
    return found


def wait_until(true: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Until it is true; not any longer than the process runs that is to bring it about."""
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end, "it does not happen"
        if process is not None and process.poll() is not None:
            raise AssertionError(f"exit code {process.returncode}: {process.communicate()[1]}")
        time.sleep(0.02)
