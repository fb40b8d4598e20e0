"""Which processes have started which."""

from __future__ import annotations

from pathlib import Path


def children(parent: int) -> list[int]:
    """The processes that a process has started and that have not been waited for, in order of their numbers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(path.parent.name))
    return sorted(found)
