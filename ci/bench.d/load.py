"""The load generators, wrk and h2load, and how their output is read."""
import os
import re
import signal
import subprocess
import time

import run

UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0, "h": 3600000.0}
WARM_UP = 0.5  # seconds


class LoadError(Exception):
    pass


def to_ms(text):
    """'1.25ms', '830.00us', '1.02s' in milliseconds."""
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m|h)", text)
    if not match:
        raise LoadError(f"not a time: {text}")
    return float(match[1]) * UNITS_MS[match[2]]


def parse_wrk(text):
    done = re.search(r"(\d+) requests in ([\d.]+\w+)", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if not done or not rate:
        raise LoadError(f"wrk printed no result: {text.strip()[-300:]}")
    failed = {kind: 0 for kind in ("connect", "read", "write", "timeout", "status")}
    for kind, count in re.findall(r"(connect|read|write|timeout) (\d+)", text):
        failed[kind] = int(count)
    status = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    failed["status"] = int(status[1]) if status else 0
    out = {"requests": int(done[1]), "rps": float(rate[1]), "failed": sum(failed.values()), "failures": failed}
    for percent in (50, 99):
        found = re.search(rf"^\s+{percent}%\s+(\S+)", text, re.M)
        out[f"p{percent}_ms"] = to_ms(found[1]) if found else None
    return out


def parse_h2load(text):
    done = re.search(r"finished in [\d.]+\w+, ([\d.]+) req/s", text)
    counts = dict((kind, int(count)) for count, kind in
                  re.findall(r"(\d+) (done|succeeded|failed|errored|timeout)\b", text))
    status = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text)
    if not done or "done" not in counts or not status:
        raise LoadError(f"h2load printed no result: {text.strip()[-300:]}")
    failures = {"failed": counts["failed"], "timeout": counts["timeout"], "status": int(status[3]) + int(status[4])}
    return {"requests": counts["succeeded"], "rps": float(done[1]), "failed": sum(failures.values()),
            "failures": failures, "p50_ms": None, "p99_ms": None}


def percentile(values, percent):
    """The nearest-rank percentile of sorted values."""
    return values[max(0, -(-len(values) * percent // 100) - 1)]


def parse_h2load_log(text):
    """p50 and p99 of h2load's log: start, status, microseconds."""
    rows = (line.split("\t") for line in text.splitlines())
    times = sorted(int(row[2]) for row in rows if len(row) > 2 and row[1] != "-1")
    if not times:
        return {}
    return {f"p{percent}_ms": percentile(times, percent) / 1000 for percent in (50, 99)}


def url(port, case, path=None):
    return f"{'https' if case.port == 'tls' else 'http'}://127.0.0.1:{port}{path or case.path}"


def command(case, port, seconds, path=None, log=None):
    """The load generator's command line for this case."""
    if case.streams:
        out = ["h2load", "-t1", f"-c{case.clients}", f"-m{case.streams}", f"-D{seconds}"]
        return out + ([f"--log-file={log}"] if log else []) + [url(port, case, path)]
    out = ["wrk", "-t1", f"-c{case.clients}", f"-d{seconds}s", "--latency"]
    return out + (["-H", "Connection: close"] if case.close else []) + [url(port, case, path)]


def start(words, cores=None):
    return run.popen(words, cores=cores, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(child, seconds):
    """The output of a generator that is to end after so many seconds."""
    try:
        out, _ = child.communicate(timeout=seconds + 15)
    except subprocess.TimeoutExpired:
        run.kill(child)
        raise LoadError(f"{child.args[0]} did not end") from None
    if child.returncode != 0:
        raise LoadError(f"{child.args[0]} ended with {child.returncode}: {out.strip()[-300:]}")
    return out


def warm_up(case, port, path=None, cores=None):
    child = start(command(case, port, 1, path), cores)
    if case.streams:  # h2load has no early end
        finish(child, 1)
        return
    time.sleep(WARM_UP)
    child.send_signal(signal.SIGINT)
    finish(child, 1)


def measure(case, port, seconds, cores=None, path=None, log=None, prefix=()):
    """One load on one URL, under the command `prefix`, its figures returned."""
    out = finish(start([*prefix, *command(case, port, seconds, path, log)], cores), seconds)
    if not case.streams:
        return parse_wrk(out)
    result = parse_h2load(out)
    if log:
        with open(log, encoding="ascii") as file:
            result.update(parse_h2load_log(file.read()))
        os.unlink(log)
    return result
