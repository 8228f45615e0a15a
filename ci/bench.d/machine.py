"""What was measured, on what, when."""
import datetime
import os
import platform
import re
from pathlib import Path

import cases
import run


def _first(path, pattern):
    try:
        found = re.search(pattern, Path(path).read_text(encoding="utf-8"), re.M)
    except OSError:
        return ""
    return found[1].strip() if found else ""


def about(options, contenders):
    root = os.environ["ROOT"]
    apache = run.output([os.environ["HTTPD"], "-v"])
    memory = int(_first("/proc/meminfo", r"^MemTotal:\s+(\d+)") or 0)
    nginx = run.output([os.environ.get("NGINX") or "nginx", "-V"], "") if cases.NGINX in options.mpms else ""
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "cpu": _first("/proc/cpuinfo", r"^model name\s*:\s*(.*)$") or platform.processor(),
        "virtual": " hypervisor" in _first("/proc/cpuinfo", r"^(flags\s*:.*)$"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": memory // 1024,
        "kernel": platform.release(),
        "system": _first("/etc/os-release", r'^PRETTY_NAME="(.*)"$'),
        "apache": (re.search(r"Server version: (.*)", apache) or ["", apache])[1],
        "nginx": nginx,
        "commit": run.output(["git", "-C", root, "describe", "--always", "--dirty", "--abbrev=12"]),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "quick": options.quick,
        "contenders": [contender.name for contender in contenders],
        "modules": dict(options.module),
    }
