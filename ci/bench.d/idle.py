"""Idle keep-alive connections: a client program that holds them, and its handle."""
import errno
import json
import select
import socket
import subprocess
import sys
import time

import run

PER_ADDRESS = 10_000  # connections from each of 127.0.0.2, 127.0.0.3, ...: an address has 28,000 ports
AT_ONCE = 8  # that wait for their response: with all its workers busy, stock event closes idle connections
PATIENCE = 60  # seconds for all to open
BIND_ADDRESS_NO_PORT = 24  # Linux's IP_BIND_ADDRESS_NO_PORT
REQUEST = "\r\n".join((  # what a client usually sends: memory depends on it
    "GET /small HTTP/1.1", "Host: 127.0.0.1", "User-Agent: Mozilla/5.0 (X11; Linux x86_64)", "Accept: */*",
    "Accept-Encoding: gzip, deflate", "Connection: keep-alive", "", "")).encode()


class IdleError(OSError):
    pass


class Connections:
    """A process that has served one request on each of `count` connections and keeps them open."""

    def __init__(self, port, count):
        self.child = run.popen([sys.executable, __file__, str(port), str(count)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
        try:
            self.opened = self._answer()
        except BaseException:
            run.kill(self.child)
            raise

    def _answer(self):
        line = self.child.stdout.readline()
        if not line:
            raise IdleError("the idle client has ended")
        out = json.loads(line)
        if "error" in out:
            raise IdleError(out["error"])
        return out

    def count(self):
        """{"open", "closed"}: how many there are, and how many the server has closed."""
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        return self._answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        run.kill(self.child)


class Client:
    """The program's side."""

    def __init__(self, port, wanted):
        self.port = port
        self.wanted = wanted
        self.poll = select.epoll()
        self.waiting = {}  # by descriptor: [socket, what has come]
        self.idle = {}
        self.closed = 0

    def open_one(self):
        number = len(self.waiting) + len(self.idle)
        sock = socket.socket()
        sock.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
        sock.bind((f"127.0.0.{2 + number // PER_ADDRESS}", 0))
        sock.connect(("127.0.0.1", self.port))
        sock.setblocking(False)
        sock.send(REQUEST)
        self.waiting[sock.fileno()] = [sock, b""]
        self.poll.register(sock.fileno(), select.EPOLLIN)

    def forget(self, fd, sock):
        self.poll.unregister(fd)
        self.waiting.pop(fd, None)
        self.idle.pop(fd, None)
        sock.close()
        self.closed += 1

    def readable(self, fd):
        entry = self.waiting.get(fd)
        sock = entry[0] if entry else self.idle[fd]
        try:
            data = sock.recv(4096)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                return
            data = b""
        if not data:
            self.forget(fd, sock)
        elif entry:
            entry[1] += data
            if entry[1].endswith(b"Hello, world\n"):
                self.idle[fd] = self.waiting.pop(fd)[0]

    def say(self, **more):
        print(json.dumps({"open": len(self.idle), "closed": self.closed, **more}), flush=True)

    def open_all(self):
        end = time.monotonic() + PATIENCE
        while len(self.idle) < self.wanted:
            if time.monotonic() > end or self.closed > self.wanted:
                self.say(error=f"{len(self.idle)} of {self.wanted} connections opened, {self.closed} were closed")
                return False
            while len(self.waiting) < AT_ONCE and len(self.waiting) + len(self.idle) < self.wanted:
                self.open_one()
            for fd, _ in self.poll.poll(1):
                self.readable(fd)
        self.say()
        return True

    def hold(self):
        """Until standard input ends; each line of it is asked for the counts."""
        self.poll.register(0, select.EPOLLIN)
        while True:
            asked = False
            for fd, _ in self.poll.poll():
                if fd == 0:
                    asked = True
                    if not sys.stdin.buffer.raw.read(1):
                        return
                else:
                    self.readable(fd)
            if asked:
                self.say()


def main():
    client = Client(int(sys.argv[1]), int(sys.argv[2]))
    try:
        if client.open_all():
            client.hold()
    except OSError as error:
        client.say(error=str(error))


if __name__ == "__main__":
    main()
