"""System calls of a family of processes, counted by perf, or by strace where perf can't."""
import os
import re
import signal
import subprocess
import tempfile
import time

import proc
import run

# Those that an MPM's work consists of have a counter of their own; the rest is in the total.
NAMES = ("futex", "epoll_wait", "epoll_pwait", "epoll_ctl", "poll", "accept4", "read", "readv", "write", "writev",
         "recvfrom", "sendto", "sendfile", "close", "shutdown", "fcntl", "setsockopt", "getsockname", "openat",
         "newfstatat", "mmap", "munmap", "madvise", "sched_yield", "clock_nanosleep", "times")
TOTAL = "raw_syscalls:sys_enter"
PREFIX = "syscalls:sys_enter_"
PATIENCE = 20  # seconds for a tracer to attach


class CallsError(OSError):
    pass


def parse_perf(text):
    """Counts by system call of `perf stat -x,`, the sum as "total"."""
    out = {}
    for line in text.splitlines():
        fields = line.split(",")
        # not counted: no thread has run meanwhile
        if len(fields) > 2 and (fields[0].isdigit() or fields[0] == "<not counted>"):
            name = "total" if fields[2] == TOTAL else fields[2][len(PREFIX):]
            out[name] = int(fields[0]) if fields[0].isdigit() else 0
    return out


def parse_strace(text):
    """Counts by system call of `strace -c`, the sum as "total"."""
    out = {"total": 0}
    for line in text.splitlines():
        row = re.fullmatch(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)", line)
        if row and row[2] != "total":
            out[row[2]] = out.get(row[2], 0) + int(row[1])
            out["total"] += int(row[1])
    return out


def by_kind(counts, requests):
    """Calls per request: futex, epoll, all but futex (rest), all (total)."""
    epoll = sum(count for name, count in counts.items() if name.startswith("epoll_"))
    futex, total = counts.get("futex", 0), counts["total"]
    kinds = {"futex": futex, "epoll": epoll, "others": total - futex - epoll, "rest": total - futex, "total": total}
    return {kind: count / requests for kind, count in kinds.items()}


_perf_events = None


def perf_events():
    """The events to count, none where perf has no tracepoints."""
    global _perf_events
    if _perf_events is None:
        probe = run.output(["perf", "stat", "-x,", "-o", "/dev/stdout", "-e", TOTAL, "true"])
        if parse_perf(probe).get("total"):
            known = run.output(["perf", "list", f"{PREFIX}*"])
            _perf_events = [TOTAL] + [PREFIX + name for name in NAMES if re.search(rf"\b{PREFIX}{name}\b", known)]
        else:
            _perf_events = []
    return _perf_events


class Perf:
    tool = "perf stat"

    def __init__(self, pids, file):
        control, self.control = os.pipe()
        self.acks, acks = os.pipe()
        words = ["perf", "stat", "-x,", "-o", file, "-D", "-1", "--control", f"fd:{control},{acks}", "-e",
                 ",".join(perf_events()), "-p", ",".join(map(str, pids))]
        self.child = run.popen(words, pass_fds=(control, acks), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(control)
        os.close(acks)
        os.write(self.control, b"enable\n")
        if not os.read(self.acks, 16).startswith(b"ack"):
            self.close()
            raise CallsError("perf stat does not attach")

    def stop(self):
        os.write(self.control, b"disable\n")
        os.read(self.acks, 16)
        self.child.send_signal(signal.SIGINT)
        self.child.wait(PATIENCE)

    def close(self):
        run.kill(self.child)
        os.close(self.control)
        os.close(self.acks)

    parse = staticmethod(parse_perf)


class Strace:
    tool = "strace -c"

    def __init__(self, pids, file):
        words = ["strace", "-c", "-f", "-o", file, *(word for pid in pids for word in ("-p", str(pid)))]
        self.child = run.popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE
        while not all(proc.traced(pid, tid) for pid in pids for tid in proc.tasks(pid)):
            if time.monotonic() > end or self.child.poll() is not None:
                self.close()
                raise CallsError("strace does not attach")
            time.sleep(0.05)

    def stop(self):
        self.child.send_signal(signal.SIGINT)
        self.child.wait(PATIENCE)

    def close(self):
        run.kill(self.child)

    parse = staticmethod(parse_strace)


class Counter:
    """`with Counter(pids) as counter: ...`: then counter.counts has the calls by name and "total"."""

    def __init__(self, pids):
        self.tracer = Perf if perf_events() else Strace
        self.pids = pids
        self.counts = {}

    def __enter__(self):
        handle, self.file = tempfile.mkstemp(prefix="calls.", dir=os.environ.get("TMP_DIR"))
        os.close(handle)
        self.running = self.tracer(self.pids, self.file)
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.running.stop()
                with open(self.file, encoding="ascii", errors="replace") as file:
                    self.counts = self.tracer.parse(file.read())
        finally:
            self.running.close()
            os.unlink(self.file)
        if kind is None and "total" not in self.counts:
            raise CallsError(f"{self.tracer.tool} counted nothing")
