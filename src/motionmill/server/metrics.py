"""Counts of what a server did -> Prometheus' text format (exposition format 0.0.4)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_BOUNDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


@dataclass
class Metrics:
    """Counters; each is written by one thread."""

    tokens: int = 0
    motions: int = 0
    engine_seconds: float = 0.0
    recovered: int = 0
    expired: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    started: float = field(default_factory=time.time)
    _latencies: Counter[float] = field(default_factory=Counter)
    _latency_sum: float = 0.0
    _latency_count: int = 0

    def observe(self, seconds: float) -> None:
        """How long a job took from its request to its end."""
        for bound in _BOUNDS:
            if seconds <= bound:
                self._latencies[bound] += 1
        self._latency_sum += seconds
        self._latency_count += 1

    def text(self, gauges: Mapping[str, float]) -> str:
        """Everything, with the gauges (name -> value) of this moment."""
        lines: list[str] = []

        def add(name: str, kind: str, says: str, values: Mapping[str, float]) -> None:
            lines.extend((f"# HELP motionmill_{name} {says}", f"# TYPE motionmill_{name} {kind}"))
            lines.extend(f"motionmill_{key} {value:g}" for key, value in values.items())

        states = {
            f'jobs_total{{state="{s}"}}': self.ended[s] for s in ("done", "failed", "cancelled")
        }
        add("jobs_total", "counter", "Jobs that ended.", states)
        for name, value, says in (
            ("tokens_total", self.tokens, "Tokens drawn, of all candidates."),
            ("motions_total", self.motions, "Motions made."),
            ("engine_seconds_total", self.engine_seconds, "Seconds that the engine computed."),
            ("recovered_total", self.recovered, "Jobs that were running when a server ended."),
            ("expired_total", self.expired, "Jobs forgotten by age or size."),
        ):
            add(name, "counter", says, {name: value})
        rate = self.tokens / self.engine_seconds if self.engine_seconds else 0.0
        add("tokens_per_second", "gauge", "While the engine computes.", {"tokens_per_second": rate})
        buckets = {f'job_seconds_bucket{{le="{b:g}"}}': self._latencies[b] for b in _BOUNDS}
        buckets['job_seconds_bucket{le="+Inf"}'] = self._latency_count
        ends = {"job_seconds_sum": self._latency_sum, "job_seconds_count": self._latency_count}
        add("job_seconds", "histogram", "From request to finished motion.", buckets | ends)
        answers = {
            f'requests_total{{method="{method}",status="{status}"}}': count
            for (method, status), count in sorted(self.requests.items())
        }
        add("requests_total", "counter", "Answers by method and status.", answers)
        memory = {"memory_bytes": float(memory_bytes())}
        add("memory_bytes", "gauge", "Resident memory of the server's process.", memory)
        for name, value in gauges.items():
            add(name, "gauge", "At this moment.", {name: value})
        return "\n".join(lines) + "\n"


def memory_bytes() -> int:
    """Resident memory of this process; 0 where that cannot be told."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * 4096
