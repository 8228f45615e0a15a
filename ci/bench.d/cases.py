"""What is measured: the contenders and the cases."""
from dataclasses import dataclass

STOCK = ("event", "worker", "prefork")
NGINX = "nginx"
OURS = "rust"
MOST_IDLE = 10_000
FILES = {"small": 13, "big": 100 * 1024}  # bytes


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    kind: str = "load"  # load, growth, mix, idle, quiet or profile: who measures it
    clients: int = 64  # connections of the load generator
    path: str = "/small"
    port: str = "http"  # http, tls or h2: which of the server's ports
    close: bool = False  # one connection per request
    streams: int = 0  # h2load with so many streams a connection, else wrk
    spin: bool = False  # keep the cores from halting
    idle: int = 0  # idle keep-alive connections beside the clients
    without: tuple = ()  # contenders that can't take part

    def against(self, contenders):
        return [contender for contender in contenders if contender.name not in self.without]


def _keep(clients, **more):
    title = f"{clients} keep-alive client" + ("s" if clients > 1 else "")
    return Case(f"keep-{clients}", title, clients=clients, **more)


def _idle(count):
    # worker and prefork hold a thread for each connection, idle or not
    return Case(f"idle-{count}", f"64 clients beside {count:,} idle connections", kind="idle", idle=count,
                without=("worker", "prefork"))


CASES = (
    _keep(1, spin=True),
    _keep(8),
    _keep(32),
    _keep(64),
    _keep(256),
    Case("close-64", "64 clients, one connection per request", close=True),
    Case("tls-64", "64 clients, TLS keep-alive", port="tls"),
    Case("tls-50", "50 clients, TLS keep-alive: as many as worker serves", clients=50, port="tls"),
    Case("big-64", "64 clients, 100 KB file", path="/big"),
    Case("h2c", "h2c, 20 connections x 10 streams", clients=20, streams=10, port="h2", without=("prefork",)),
    Case("growth", "256 keep-alive clients beside 32", kind="growth", clients=256, without=("worker", "prefork", NGINX)),
    _idle(1000),
    _idle(5000),
    _idle(MOST_IDLE),
    Case("mix", "32 clients of a 50 ms handler beside 32 of a file", kind="mix", clients=32, without=(NGINX,)),
    Case("quiet", "an idle child's system calls", kind="quiet", without=(NGINX,)),
    Case("profile-1", "where the CPU time of a request goes, 1 keep-alive client", kind="profile", clients=1, spin=True,
         without=("prefork", NGINX)),
    Case("profile-8", "where the CPU time of a request goes, 8 keep-alive clients", kind="profile", clients=8,
         without=("prefork", NGINX)),
    Case("profile-64", "where the CPU time of a request goes, 64 keep-alive clients", kind="profile",
         without=("prefork", NGINX)),
    Case("profile-h2c", "where the CPU time of a request goes, h2c, 20 x 10", kind="profile", clients=20, streams=10,
         port="h2", without=("prefork", NGINX)),
)
BY_NAME = {case.name: case for case in CASES}
