"""Where a server's CPU time goes, sampled by perf: system calls, interrupts, and the files its code comes from."""
import os
import re
import signal
import subprocess
import tempfile

import run

RATE = 1999  # samples a second of each core; no divisor of a timer's rate
PATIENCE = 30  # seconds for perf to write, and to read, its file
# The kernel's functions for a call; those of some are inlined, then what they call stands for them.
CALL = re.compile(r"\b(?:__(?:x64|arm64)_sys_|ksys_|do_(?=writev|readv))(\w+)")
FRAME = re.compile(r"\s+[0-9a-f]+ (.*) \((.*)\)$")
# Calls with a column of their own; the others are summed up.
CALLS = ("futex", "epoll_wait", "epoll_ctl", "poll", "accept4", "read", "writev", "sendfile", "openat", "newfstatat",
         "close", "shutdown")
ALIASES = {"epoll_pwait": "epoll_wait", "newfstat": "newfstatat", "sendfile64": "sendfile"}
# What the code of a file is, the first that fits.
ROOMS = (("MPM", r"/mod_mpm_\w+\.so$"), ("httpd", r"/(apache2|httpd)$|/mod_\w+\.so$"), ("APR", r"/libapr(util)?-"),
         ("libc", r"/(libc|ld-linux)[^/]*$|/libpthread[^/]*$|^\[vdso\]$"))
OTHERS = "other calls"
# What the kernel does on the way back to the program, mostly switches at the end of a slice; at the border itself; by itself.
ON_RETURN, BORDER, INTERRUPT = "preempted", "entry, exit", "interrupts"
ELSEWHERE = "elsewhere"
PLACES = (*CALLS, OTHERS, ON_RETURN, BORDER, INTERRUPT, *(room for room, _ in ROOMS), ELSEWHERE)


class ProfileError(OSError):
    pass


def place(stack):
    """Where one sample belongs: a call if it was taken in one, else the innermost frame's file."""
    for line in stack:
        call = CALL.search(line)
        if call:
            name = ALIASES.get(call[1], call[1])
            return name if name in CALLS else OTHERS
    frame = FRAME.match(stack[0])
    file = frame[2] if frame else ""
    if file.startswith("[kernel"):
        whole = " ".join(stack)
        return ON_RETURN if "exit_to_user_mode" in whole else BORDER if "syscall" in whole.lower() else INTERRUPT
    return next((room for room, pattern in ROOMS if re.search(pattern, file)), ELSEWHERE)


def shares(text):
    """Shares of all samples by place, of `perf script -F ip,sym,dso`: a paragraph for each sample."""
    counts = dict.fromkeys(PLACES, 0)
    for sample in re.split(r"\n\s*\n", text.strip("\n")):
        if sample.strip():
            counts[place(sample.strip("\n").split("\n"))] += 1
    total = sum(counts.values())
    if not total:
        raise ProfileError("perf record took no samples")
    return {where: count / total for where, count in counts.items()}


def available():
    """Whether perf can sample here."""
    return run.output(["perf", "record", "-q", "-g", "-o", "/dev/null", "true"], None) is not None


class Recorder:
    """`with Recorder(pids) as recorder: ...`: then recorder.shares has the shares by place."""

    def __init__(self, pids):
        self.pids = pids
        self.shares = {}

    def __enter__(self):
        handle, self.file = tempfile.mkstemp(prefix="profile.", dir=os.environ.get("TMP_DIR"))
        os.close(handle)
        self.child = run.popen(["perf", "record", "-q", "-g", "-F", str(RATE), "-o", self.file,
                                "-p", ",".join(map(str, self.pids))],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.child.send_signal(signal.SIGINT)
                self.child.wait(PATIENCE)
                done = subprocess.run(["perf", "script", "--no-inline", "-i", self.file, "-F", "ip,sym,dso"], capture_output=True,
                                      text=True, errors="replace", timeout=PATIENCE, check=False)
                self.shares = shares(done.stdout)
        except subprocess.TimeoutExpired as error:
            raise ProfileError(str(error)) from None
        finally:
            run.kill(self.child)
            os.unlink(self.file)
