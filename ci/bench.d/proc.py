"""What /proc tells of a family of processes and of the host."""
import os

TICK = os.sysconf("SC_CLK_TCK")
BUSY = ("user", "nice", "system", "irq", "softirq")
HOST = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


def _read(path):
    """The file's text, empty when the process or thread has gone."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _entries(path):
    try:
        return os.listdir(path)
    except OSError:
        return []


def parse_stat(text):
    """CPU time in microseconds of a /proc/PID/stat line, with what ended children have used.

    The name in parentheses may hold spaces and parentheses: fields count from the last one.
    """
    fields = text[text.rindex(")") + 1:].split()
    return sum(int(field) for field in fields[11:15]) * 1e6 / TICK  # utime stime cutime cstime


def parse_switches(text):
    """Voluntary and involuntary context switches of a /proc/PID/task/TID/status."""
    return sum(int(line.split()[1]) for line in text.splitlines() if "voluntary_ctxt_switches:" in line)


def parse_pss(text):
    """Proportional set size in KiB of a smaps_rollup."""
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


def parse_host(text):
    """The host's CPU time by kind in seconds, from /proc/stat."""
    values = text.splitlines()[0].split()[1:]
    return {kind: int(value) / TICK for kind, value in zip(HOST, values)}


def tasks(pid):
    return [int(tid) for tid in _entries(f"/proc/{pid}/task")]


def children(pid):
    return [int(child) for tid in tasks(pid) for child in _read(f"/proc/{pid}/task/{tid}/children").split()]


def family(pid):
    """The process and all its descendants."""
    return [pid] + [member for child in children(pid) for member in family(child)]


def traced(pid, tid):
    """Whether somebody traces this thread; one that has gone counts as traced."""
    return "TracerPid:\t0\n" not in _read(f"/proc/{pid}/task/{tid}/status")


def pss(pids):
    return sum(parse_pss(_read(f"/proc/{pid}/smaps_rollup")) for pid in pids)


def host():
    return parse_host(_read("/proc/stat"))


def host_since(before):
    """Shares of all cores' time since `before`: steal and busy, in percent, and the seconds both are shares of."""
    spent = {kind: value - before[kind] for kind, value in host().items()}
    total = max(sum(spent.values()), 1e-9)
    return {"steal": 100 * spent["steal"] / total, "busy": 100 * sum(spent[kind] for kind in BUSY) / total,
            "total_s": total}


class Snapshot:
    """CPU time and context switches of a family at one moment."""

    def __init__(self, pid):
        self.pids = family(pid)
        self.cpu_us = 0.0
        self.switches = {}
        for member in self.pids:
            stat = _read(f"/proc/{member}/stat")
            if stat:
                self.cpu_us += parse_stat(stat)
            for tid in tasks(member):
                self.switches[tid] = parse_switches(_read(f"/proc/{member}/task/{tid}/status"))

    def since(self, before):
        """What was used since `before`: a thread that is new counts from 0, one that has gone is not counted."""
        switches = sum(count - before.switches.get(tid, 0) for tid, count in self.switches.items())
        return {"cpu_us": self.cpu_us - before.cpu_us, "switches": switches}
