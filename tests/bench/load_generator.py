"""Posts one comment after the other, each signed and a new delivery: a process of its own, one thread, epoll.

    python -m tests.bench.load_generator URL_PATH PORT CONNECTIONS WARM_UP_S SECONDS BODY_FILE

Prints one JSON object. Each connection sends its next request when it has its answer (a closed loop).
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from kfops.webhook.signature import sign
from tests.bench.deliveries import PLACE, SECRET
from tests.bench.figures import percentile

FIRST_ID = 4_000_000_000


@dataclass
class Connection:
    socket: socket.socket
    sent_at: float = 0.0
    answer: bytearray = field(default_factory=bytearray)

    def is_whole(self) -> bool:
        head, separator, body = bytes(self.answer).partition(b"\r\n\r\n")
        if not separator:
            return False
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return len(body) >= int(line.split(b":")[1])
        return body.endswith(b"0\r\n\r\n")  # chunked


@dataclass
class Load:
    path: str
    port: int
    body: bytes
    latencies: list[float] = field(default_factory=list)
    sent: int = 0
    run: str = field(default_factory=lambda: uuid4().hex)

    def play(self, connections: int, warm_up_s: float, seconds: float) -> dict[str, float]:
        poll, opened = select.epoll(), {}
        for _ in range(connections):
            made = socket.create_connection(("127.0.0.1", self.port), timeout=30)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened[made.fileno()] = Connection(made)
            poll.register(made, select.EPOLLIN)
        for one in opened.values():
            self._send(one)
        began = time.perf_counter() + warm_up_s
        ends = began + seconds
        cpu = 0.0
        while (now := time.perf_counter()) < ends:
            if not cpu and now >= began:
                cpu = time.process_time()
            for number, _ in poll.poll(timeout=max(ends - now, 0)):
                self._receive(opened[number], began)
        used = time.process_time() - cpu
        for one in opened.values():
            one.socket.close()
        return {
            "requests": len(self.latencies),
            "per_second": len(self.latencies) / seconds,
            "p50_ms": 1000 * percentile(self.latencies, 0.5),
            "p99_ms": 1000 * percentile(self.latencies, 0.99),
            "own_cpu": used / seconds,
        }

    def _send(self, one: Connection) -> None:
        self.sent += 1
        body = self.body.replace(PLACE.encode(), str(FIRST_ID + self.sent).encode())
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"User-Agent: GitHub-Hookshot/bench\r\nAccept: */*\r\nX-GitHub-Event: issue_comment\r\n"
            f"X-GitHub-Delivery: {self.run}-{self.sent}\r\nX-Hub-Signature-256: {sign(body, SECRET)}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        one.answer.clear()
        one.sent_at = time.perf_counter()
        one.socket.sendall(head.encode() + body)

    def _receive(self, one: Connection, began: float) -> None:
        part = one.socket.recv(65536)
        if not part:
            raise ConnectionError("the receiver closed a connection")
        one.answer += part
        if not one.is_whole():
            return
        now = time.perf_counter()
        if one.answer[9:10] != b"2":
            raise RuntimeError(f"not accepted: {bytes(one.answer[:500])!r}")
        if one.sent_at >= began:
            self.latencies.append(now - one.sent_at)
        self._send(one)


def main() -> None:
    path, port, connections, warm_up_s, seconds, body = sys.argv[1:]
    load = Load(path, int(port), Path(body).read_bytes())
    print(json.dumps(load.play(int(connections), float(warm_up_s), float(seconds))))


if __name__ == "__main__":
    main()
