"""A private server: started, watched, pinned to cores, stopped."""
import os
import random
import re
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import cases
import config
import proc
import run

START, STOP = 15, 15  # seconds


class ServerError(Exception):
    pass


@dataclass(frozen=True)
class Site:
    """What all servers share."""
    tmp: Path
    httpd: str
    nginx: str
    libexec: str
    sleeper: str  # the module with the slow handler
    cert: Path
    htdocs: Path


@dataclass(frozen=True)
class Contender:
    """An MPM or nginx, under the name that the report uses."""
    name: str
    symbol: str = ""  # empty: nginx
    module: str = ""

    @property
    def processes(self):
        """How many children it has."""
        return config.WORKERS if self.symbol == "mpm_prefork_module" else config.PROCESSES


def free_port():
    first, last = (int(end) for end in os.environ.get("BENCH_PORTS", "20000-29999").split("-"))
    for port in random.sample(range(first, last + 1), min(200, last + 1 - first)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise ServerError("no free port")


class Server:
    def __init__(self, site, contender, case):
        self.contender = contender
        self.case = case
        self.root = site.tmp / "servers" / f"{contender.name}-{case.name}-{time.monotonic_ns()}"
        self.root.mkdir(parents=True)
        self.port = free_port()
        conf = self.root / "server.conf"
        if contender.symbol:
            conf.write_text(config.apache(site, contender, case, self.root, self.port))
            words = [site.httpd, "-f", str(conf), "-DFOREGROUND"]
        else:
            conf.write_text(config.nginx(site, case, self.root, self.port))
            words = [site.nginx, "-p", str(self.root), "-c", str(conf), "-e", str(self.root / "error_log")]
        with open(self.root / "console", "wb") as console:
            self.child = run.popen(words, sign=signal.SIGTERM, stdout=console, stderr=console,
                                   start_new_session=True)
        self.pid = self.child.pid
        self.pids = []

    def wait(self):
        """Back when it answers and all its processes and threads are there; at once if they once were."""
        if self.pids:
            return
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        self.pids = sorted(proc.family(self.pid))

    def _wait(self):
        end = time.monotonic() + START
        seen = None
        while time.monotonic() < end:
            if self.child.poll() is not None:
                raise ServerError(f"it did not start: {self.log()}")
            pids = proc.family(self.pid)
            now = (len(pids), sum(len(proc.tasks(pid)) for pid in pids))
            if now == seen and now[0] > self.contender.processes and self._answers():
                return
            seen = now
            time.sleep(0.2)
        raise ServerError(f"it did not get ready: {self.log()}")

    def _answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def log(self):
        text = "".join(path.read_text(errors="replace") for path in (self.root / "console", self.root / "error_log")
                       if path.exists())
        return text.strip()[-1500:]

    def check(self):
        """Raises if the server, or a child of it, has ended or crashed."""
        if self.child.poll() is not None:
            raise ServerError(f"it ended with {self.child.returncode}: {self.log()}")
        crash = re.search(r".*(exit signal|AH00052|exited on signal|panicked).*", self.log())
        if crash:
            raise ServerError(f"it lost a child: {crash[0]}")
        if sorted(proc.family(self.pid)) != self.pids:
            self.pids = sorted(proc.family(self.pid))
            raise ServerError(f"it has other processes than at its start: {self.log()}")

    def pin(self, cores):
        """All its threads on these cores; threads to come inherit it."""
        for pid in proc.family(self.pid):
            for tid in proc.tasks(pid):
                try:
                    os.sched_setaffinity(tid, cores)
                except OSError:  # it has ended
                    pass

    def stop(self):
        """SIGTERM, SIGKILL when that doesn't help; nothing of its session is left. False if it had to be killed."""
        in_order = self.child.poll() is None
        pids = set(self.pids) | set(proc.family(self.pid) if in_order else ())
        if in_order:
            self.child.terminate()
            try:
                self.child.wait(STOP)
            except subprocess.TimeoutExpired:
                in_order = False
                self.child.kill()
                self.child.wait()
        for pid in pids - {self.pid}:
            try:
                if os.getsid(pid) == self.pid:  # still the server's, whose session is its own
                    os.kill(pid, signal.SIGKILL)
                    in_order = False
            except ProcessLookupError:
                pass
        return in_order


class Fleet:
    """The servers of one case: those of `contenders` start at once, others when they are used. `keep`: a server
    serves again; otherwise each use has a new one."""

    def __init__(self, site, case, contenders=(), keep=True):
        self.site = site
        self.case = case
        self.keep = keep
        self.servers = {contender.name: Server(site, contender, case) for contender in contenders}

    def use(self, contender, work):
        """work(server); a server that has failed is not used again."""
        if contender.name not in self.servers:
            self.servers[contender.name] = Server(self.site, contender, self.case)
        done = False
        try:
            server = self.servers[contender.name]
            server.wait()
            result = work(server)
            done = self.keep
            return result
        finally:
            if not done:
                self.drop(contender)

    def drop(self, contender):
        server = self.servers.pop(contender.name, None)
        if server and not server.stop():
            print(f"  {contender.name}: what was left of it was killed", flush=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.servers.values():
            if server.child.poll() is None:
                server.child.terminate()
        for server in self.servers.values():
            server.stop()


def contenders(names, modules, libexec):
    """The contenders of these names; `modules` has the files of other builds by name."""
    out = []
    for name in names:
        if name == cases.NGINX:
            out.append(Contender(name))
        elif name in cases.STOCK:
            out.append(Contender(name, f"mpm_{name}_module", os.path.join(libexec, f"mod_mpm_{name}.so")))
        else:
            file = modules.get(name)
            if not file:
                raise ServerError(f"no contender named {name}")
            stock = re.fullmatch(r"mod_(mpm_\w+)\.so", os.path.basename(file))
            out.append(Contender(name, f"{stock[1]}_module" if stock else "mpm_rust_event_module", file))
    return out
