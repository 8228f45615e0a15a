"""What the module under test is to reach, and whether it does."""
from dataclasses import dataclass

import stats

LOADS = ("keep-1", "keep-8", "keep-32", "keep-64", "keep-256", "close-64", "tls-64", "big-64", "h2c")
SHORT = {
    "cpu_us": "CPU per request", "rps": "throughput", "p99_ms": "p99", "switches": "switches per request",
    "failed": "failed requests", "calls.futex": "futex calls per request",
    "calls.rest": "other system calls per request", "late_kib": "memory per idle connection",
    "cpu_growth": "growth of CPU per request", "closed": "idle connections closed",
    "idle_cpu_percent": "CPU while all are idle", "slow.rps": "slow handler's throughput",
    "calls_total": "system calls in an idle child",
}


@dataclass(frozen=True)
class Target:
    case: str
    phase: str
    metric: str
    sign: str  # <= or >=
    limit: float
    other: str = ""  # compared with this contender
    how: str = "value"  # value, worst, ratio or difference
    unit: str = ""

    def text(self):
        compared = {"ratio": f" / {self.other}'s", "difference": f" - {self.other}'s"}
        unit = f" {self.unit}" if self.unit else ""
        return f"{SHORT[self.metric]}{compared.get(self.how, '')} {self.sign} {self.limit:g}{unit}"


def _cpu(case, limit, other="event"):
    return Target(case, "free", "cpu_us", "<=", limit, other, "ratio")


def _rate(case, limit, metric="rps"):
    return Target(case, "free", metric, ">=", limit, "event", "ratio")


def _p99(case, limit, other="event"):
    return Target(case, "apart", "p99_ms", "<=", limit, other, "ratio")


def _none_failed(case):
    return Target(case, "free", "failed", "<=", 0, how="worst")


def _calls(case):
    return (Target(case, "calls", "calls.futex", "<=", 0.2),
            Target(case, "calls", "calls.rest", "<=", 2, "worker", "difference"))


TARGETS = (
    _cpu("keep-1", 1.0, "worker"), _p99("keep-1", 1.0),
    _cpu("keep-8", 0.70), _p99("keep-8", 1.0),
    _cpu("keep-32", 0.70), _p99("keep-32", 0.6),
    _cpu("keep-64", 0.62), _rate("keep-64", 1.5), _p99("keep-64", 0.4), _none_failed("keep-64"),
    _cpu("keep-256", 0.62), _rate("keep-256", 1.5), _p99("keep-256", 0.4), _none_failed("keep-256"),
    _cpu("close-64", 0.70), _rate("close-64", 1.1),
    _cpu("tls-64", 0.48), _none_failed("tls-64"),
    _cpu("big-64", 0.80), _none_failed("big-64"), _p99("big-64", 0.4),
    _cpu("h2c", 0.92), _none_failed("h2c"),
    # one client has its own line above
    *(_cpu(case, 0.95, "worker") for case in LOADS if case != "keep-1"),
    *(_p99(case, 1.1, "worker") for case in LOADS),
    # mod_http2 hands over to threads of its own: its switches and system calls are not the MPM's
    *(Target(case, "free", "switches", "<=", 1.05 if case == "keep-1" else 0.7) for case in LOADS if case != "h2c"),
    *(target for case in LOADS if case != "h2c" for target in _calls(case)),
    Target("idle-10000", "idle", "late_kib", "<=", 0.53, "event", "ratio"),
    Target("idle-10000", "idle", "late_kib", "<=", 17, unit="KiB"),
    Target("idle-10000", "idle", "idle_cpu_percent", "<=", 0.1, unit="%"),  # /proc counts in steps of that size
    Target("idle-10000", "idle", "closed", "<=", 0, how="worst"),
    Target("idle-10000", "idle", "cpu_growth", "<=", 1.1),
    Target("growth", "growth", "cpu_growth", "<=", 1.1),
    _p99("mix", 1.0), _rate("mix", 1.0),
    _rate("mix", 0.99, "slow.rps"),  # 32 clients of 50 ms each: 640 requests/s at most, for all
    Target("quiet", "quiet", "calls_total", "<=", 0, how="worst"),
)


def spread_of(target, cases, subject):
    """The figure that the target is about, as a spread over the rounds; None if it wasn't measured."""
    rounds = cases.get(target.case, {}).get(target.phase, [])
    if target.how == "ratio":
        return stats.ratio(rounds, subject, target.other, target.metric)
    if target.how == "difference":
        return stats.difference(rounds, subject, target.other, target.metric)
    return stats.spread(stats.values(rounds, subject, target.metric))


def judge(cases, subject):
    """Each target with its figure and whether it is met, for those that were measured."""
    out = []
    for target in TARGETS:
        spread = spread_of(target, cases, subject)
        if spread is None:
            continue
        figure = spread["max"] if target.how == "worst" else spread["median"]
        met = figure <= target.limit if target.sign == "<=" else figure >= target.limit
        out.append({"case": target.case, "text": target.text(), "figure": figure, "min": spread["min"],
                    "max": spread["max"], "met": met})
    return out
