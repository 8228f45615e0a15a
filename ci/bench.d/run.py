"""Child processes that can't outlive this one."""
import ctypes
import os
import signal
import subprocess

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def popen(words, cores=None, sign=signal.SIGKILL, **more):
    """A child that gets `sign` when this process ends, on these cores only."""

    def prepare():
        LIBC.prctl(PR_SET_PDEATHSIG, int(sign), 0, 0, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if cores is not None:
            os.sched_setaffinity(0, cores)

    return subprocess.Popen(words, preexec_fn=prepare, stdin=more.pop("stdin", subprocess.DEVNULL), **more)


def kill(child):
    if child.poll() is None:
        child.kill()
    child.wait()


def output(words, default=""):
    """What a command prints, `default` when it can't be run."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return default
    return done.stdout.strip()
