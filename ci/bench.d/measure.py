"""One measurement of one server: a load, with what the server spent on it."""
import os
import resource
import time
from dataclasses import dataclass, replace

import calls
import idle
import load
import proc
import profile_cpu
import run
import spin

SETTLE = 0.05  # seconds after a load, for the last close
QUIET_AFTER = 3  # seconds without work before calls are counted
SLOW = "/sleep"
FEW = 32


def split_cores():
    """The server's cores and the load generator's, where they are kept apart."""
    cores = sorted(os.sched_getaffinity(0))
    return set(cores[:-1]) or set(cores), {cores[-1]}


def _generators():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Meter:
    """What a server, and the host, spent between its making and done()."""

    def __init__(self, server):
        self.server = server
        self.generators = _generators()
        self.host = proc.host()
        self.before = proc.Snapshot(server.pid)

    def done(self, requests):
        spent = proc.Snapshot(self.server.pid).since(self.before)
        host = proc.host_since(self.host)
        ours = spent["cpu_us"] / 1e6 + _generators() - self.generators
        out = {"steal": host["steal"], "others": max(0.0, host["busy"] - 100 * ours / host["total_s"]),
               "cpu_s": spent["cpu_us"] / 1e6, "switches_total": spent["switches"]}
        if requests:
            out["cpu_us"] = spent["cpu_us"] / requests
            out["switches"] = spent["switches"] / requests
        return out


def loaded(server, case, seconds, cores=None, **more):
    """The figures of one load and what the server spent on it."""
    with spin.Spinners(os.sched_getaffinity(0) if case.spin else ()):
        load.warm_up(case, server.port, cores=cores)
        time.sleep(SETTLE)
        meter = Meter(server)
        result = load.measure(case, server.port, seconds, cores, **more)
        time.sleep(SETTLE)
        result.update(meter.done(result["requests"]))
    if case.spin:
        result["others"] = None  # the spinners are among the busy
    server.check()
    return result


def free(server, case, seconds):
    """CPU, switches and throughput: server and generator on all cores."""
    return loaded(server, case, seconds)


def growth(server, case, seconds):
    """What a request costs beside that with few clients: few, many, many, few, as the machine's speed drifts."""
    few = replace(case, clients=FEW)
    runs = [free(server, each, seconds) for each in (few, case, case, few)]
    few_us, many_us = (sum(runs[i]["cpu_us"] for i in pair) / 2 for pair in ((0, 3), (1, 2)))
    others = [run["others"] for run in runs if run["others"] is not None]
    return {"few_us": few_us, "many_us": many_us, "cpu_growth": many_us / few_us, "runs": runs,
            "others": max(others, default=None), "failed": sum(run["failed"] for run in runs)}


def apart(server, case, seconds):
    """Latencies: the generator on a core of its own."""
    mine, its = split_cores()
    server.pin(mine)
    try:
        log = str(server.root / "h2load.log") if case.streams else None
        return loaded(server, case, seconds, its, log=log)
    finally:
        server.pin(os.sched_getaffinity(0))


def traced(server, case, seconds):
    """System calls per request: apart from the other figures, which counting would change."""
    load.warm_up(case, server.port)
    time.sleep(SETTLE)
    with calls.Counter(proc.family(server.pid)) as counter:
        result = load.measure(case, server.port, seconds)
        time.sleep(SETTLE)
    server.check()
    per_request = calls.by_kind(counter.counts, result["requests"])
    return {"calls": per_request, "counts": counter.counts, "requests": result["requests"], "tool": counter.tracer.tool}


def profiled(server, case, seconds):
    """CPU time per request by where it is spent; sampling has its price, so the sum is a little more than elsewhere."""
    with profile_cpu.Recorder(proc.family(server.pid)) as recorder:
        result = free(server, case, seconds)
    return {"us": {where: share * result["cpu_us"] for where, share in recorder.shares.items()},
            "cpu_us": result["cpu_us"], "requests": result["requests"]}


def quiet(server, case, before, seconds):
    """System calls of the children, not of the parent, with nothing to do after some work."""
    load.warm_up(case, server.port)
    time.sleep(before)
    with calls.Counter(proc.children(server.pid)) as counter:
        time.sleep(seconds)
    server.check()
    return {"calls_total": counter.counts["total"], "counts": counter.counts, "seconds": seconds,
            "tool": counter.tracer.tool}


def mixed(server, case, seconds, cores=None):
    """Two loads at once: the file, whose figures come first, and the slow handler, under "slow"."""
    load.warm_up(case, server.port, SLOW, cores)
    load.warm_up(case, server.port, cores=cores)
    meter = Meter(server)
    slow = load.start(load.command(case, server.port, seconds, SLOW), cores)
    try:
        result = load.measure(case, server.port, seconds, cores)
        result["slow"] = load.parse_wrk(load.finish(slow, seconds))
    finally:
        run.kill(slow)
    time.sleep(SETTLE)
    result.update(meter.done(result["requests"] + result["slow"]["requests"]))
    result["failed"] += result["slow"]["failed"]
    server.check()
    return result


def apart_mixed(server, case, seconds):
    mine, its = split_cores()
    server.pin(mine)
    try:
        return mixed(server, case, seconds, its)
    finally:
        server.pin(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Pace:
    """How long the measurement of idle connections takes at each step, in seconds."""
    early: float = 3  # the last one has been idle for so long when memory is read first
    watch: float = 10  # CPU time is watched for so long
    late: float = 18  # memory is read again


def with_idle(server, case, seconds, count, pace):
    """Memory and CPU time of idle connections, and what they are to 64 active ones."""
    without = loaded(server, case, seconds)
    time.sleep(1)
    family = proc.family(server.pid)
    before = proc.pss(family)
    with idle.Connections(server.port, count) as connections:
        begin = time.monotonic()
        time.sleep(pace.early)
        early = proc.pss(family)
        meter = Meter(server)
        time.sleep(pace.watch)
        watched = meter.done(0)
        time.sleep(max(0, begin + pace.late - time.monotonic()))
        late = proc.pss(family)
        opened = connections.count()
        beside = loaded(server, case, seconds)
        time.sleep(SETTLE)
        closed = connections.count()["closed"] - opened["closed"]
    if opened["open"] < 0.9 * count:
        raise idle.IdleError(f"{opened['open']} of {count} connections were left when memory was read")
    return {"without": without, "beside": beside, "closed": closed, "opened": opened, "count": count,
            "idle_cpu_percent": 100 * watched["cpu_s"] / pace.watch, "idle_switches": watched["switches_total"],
            "early_kib": (early - before) / opened["open"], "late_kib": (late - before) / opened["open"],
            "pss_kib": {"before": before, "early": early, "late": late},
            "cpu_growth": beside["cpu_us"] / without["cpu_us"], "failed": beside["failed"],
            "rps": beside["rps"], "cpu_us": beside["cpu_us"], "p99_ms": beside["p99_ms"]}
