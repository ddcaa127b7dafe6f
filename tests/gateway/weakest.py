"""What a caller with one token can do to a gateway: `python -m tests.gateway.weakest --seconds 600`.

It sends attacks, whole and with bytes changed, bodies that would grow, heads that are long, and connections that hang,
from several threads. Meanwhile the configuration is reloaded. At the end the workers must be the ones that were there at
first, their memory may have grown by 64 MiB, and every reload must have counted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import struct
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.gateway import attacks
from tests.gateway.serving import ALICE, BOB, POLICY, PROXY, Client, Served, children, head, request, serving
from tests.gateway.sts import answering
from tests.waiting import PATIENCE, until

MOST_MEMORY = 64  # MiB
Doing = Callable[[random.Random], None]


class Attempt:
    """The attacks, and what they reached."""

    def __init__(self, served: Served, policies: tuple[str, str], seed: int) -> None:
        self.served = served
        self.policies = policies
        self.seed = seed
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()
        self.ended = threading.Event()
        self.reloads = 0
        self.workers = children(served)
        self.attacks = attacks.all_attacks(seed, 1000)
        self.first: dict[int, float] = {}
        self.most: dict[int, float] = {}

    def run(self, seconds: float) -> None:
        doings: tuple[Doing, ...] = (
            self.send_attack, self.send_changed, self.send_body, self.send_long_head, self.hang,
        )  # fmt: skip
        for number in range(300):  # what a worker takes before anybody attacks it, with pyarrow
            request(self.served.port, "GET", f"/img/alice/{number}", ALICE)
            request(self.served.port, "POST", "/presign?route=img", ALICE, b"photos/alice/a\n" * 20_000)
        for _ in range(30):
            kind, body = BODIES[-4]
            request(self.served.port, "POST", "/presign?route=img", {**ALICE, "Content-Type": kind}, body)
        self.first = self.memory()
        threads = [threading.Thread(target=self._again, args=(doing, number)) for number, doing in enumerate(doings)]
        threads.append(threading.Thread(target=self._watch))
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end and not self.wrong:
                self._reload()
                self.ended.wait(1)
        finally:
            self.ended.set()
        for thread in threads:
            thread.join(PATIENCE)
            if thread.is_alive():
                self.wrong.append("a thread hangs")
        if children(self.served) != self.workers:
            self.wrong.append(f"the workers {self.workers} are now {children(self.served)}")
        self.wrong += [f"a worker has grown by {grown} MiB" for grown in self.growth() if grown > MOST_MEMORY]

    def memory(self) -> dict[int, float]:
        """MiB of each worker that are its own."""
        texts = {pid: Path(f"/proc/{pid}/status").read_text() for pid in self.workers if Path(f"/proc/{pid}").exists()}
        return {pid: int(re.findall(r"RssAnon:\s+(\d+)", text)[0]) / 1024 for pid, text in texts.items()}

    def growth(self) -> list[float]:
        return [round(self.most[pid] - size, 1) for pid, size in self.first.items()]

    def _watch(self) -> None:
        while not self.ended.wait(0.1):
            for pid, size in self.memory().items():
                self.most[pid] = max(self.most.get(pid, 0), size)

    def _reload(self) -> None:
        """Give bob other keys, and see that every worker knows."""
        self.reloads += 1
        policy = self.policies[self.reloads % 2]
        status = (403, 302)[self.reloads % 2]
        try:
            self.served.reload(policy, "reloaded")
            until(
                lambda: {request(self.served.port, "GET", "/img/bob/a", BOB)[0] for _ in range(8)} == {status},
                "a reload",
            )
        except AssertionError as error:
            self.wrong.append(f"reload {self.reloads}: {error!r}"[:500])

    def _again(self, doing: Doing, number: int) -> None:
        shuffle = random.Random(self.seed + number)
        while not self.ended.is_set():
            with contextlib.suppress(OSError):  # the gateway has ended the connection
                doing(shuffle)
            self.counts[doing.__name__] += 1

    def _send(self, data: bytes, method: str = "GET", proxy: bool = False) -> None:
        client = Client(self.served.port, PROXY if proxy else "127.0.0.1")
        status = client.send(data, method)[0]
        client.close()
        self.counts[str(status)] += 1
        if status >= 500 and status != 501:  # what granian says to a Transfer-Encoding that it does not know
            self.wrong.append(f"{status}: {data[:200]!r}")

    # --- What is sent

    def send_attack(self, shuffle: random.Random) -> None:
        attack = shuffle.choice(self.attacks)
        self._send(attack.data, attack.method)

    def send_changed(self, shuffle: random.Random) -> None:
        data = bytearray(shuffle.choice(self.attacks).data)
        for _ in range(shuffle.randrange(1, 5)):
            at = shuffle.randrange(len(data))
            piece = shuffle.choice(
                (b"", bytes([shuffle.randrange(256)]), b"%", b"\r\n", b"a" * 5000, data[at : at + 50])
            )
            data[at : at + shuffle.randrange(3)] = piece
        with Client(self.served.port).connect() as connection:
            connection.settimeout(0.2)
            connection.sendall(data)
            connection.recv(65536)

    def send_body(self, shuffle: random.Random) -> None:
        """To each door that reads one: bodies whose values take more memory than their bytes."""
        kind, body = shuffle.choice(BODIES)
        door = shuffle.choice(("/presign?route=img&on_error=null", "/sdk/authorization", "/sdk/credentials"))
        headers = {**shuffle.choice((ALICE, ALICE, BOB)), "Content-Type": kind, "Content-Length": str(len(body))}
        self._send(head("POST", door, headers) + body, "POST")

    def send_long_head(self, shuffle: random.Random) -> None:
        """Each as long as is allowed, or longer; an Authorization that is never the same; a path or query of 60 KB."""
        size = shuffle.choice((8_000, 30_000, 60_000, 400_000))
        text = "".join(shuffle.choices("abc", k=8)) + shuffle.choice("a ;,%") * size
        self._send(head("GET", "/img/bob/a", {"Authorization": f"Bearer {text}"}))
        self._send(head("GET", "/img/bob/a", {"Authorization": f"Bearer{' ' * size}token-of-bob"}))
        self._send(head("GET", f"/img/bob/{text.replace(' ', 'b')}", BOB))
        self._send(head("GET", f"/img/bob/a?{text.replace(' ', '=&')}", BOB))
        self._send(head("GET", "/img/bob/a", {**BOB, "X-Forwarded-For": text, "Cookie": text, "Origin": text}))

    def hang(self, shuffle: random.Random) -> None:
        """Many connections that stop in the middle, or read nothing."""
        body = b"photos/alice/a\n" * 200_000
        presign = head("POST", "/presign?route=img", {**ALICE, "Content-Length": str(len(body))})
        begun = (
            b"", b"GET /img", head("GET", "/img/bob/a", {**BOB, "X-A": "a" * 50_000})[:-4], presign, presign + body[:-1],
            presign + body, head("GET", "/img/bob/a", BOB) * 3000, head("POST", "/sdk/authorization", {**BOB, "Content-Length": "60000"}) + b"{" * 50_000,
        )  # fmt: skip
        with contextlib.ExitStack() as held:
            for _ in range(100):
                connection = held.enter_context(Client(self.served.port).connect())
                connection.settimeout(0.05)
                with contextlib.suppress(OSError):
                    connection.sendall(shuffle.choice(begun))
            self.ended.wait(shuffle.random() * 5)


def _bodies() -> Iterator[tuple[str, bytes]]:
    from tests.gateway.test_bulk import ARROW, arrow, forged_bodies

    for size in (50_000, 1_000_000, 4 << 20):
        for text in (
            b"[" * size,
            b"[[],",
            b'{"":[',
            b'["",',
            b"[0,",
            b'["a",' + b'"ab",' * (size // 5),
            b'["\xf0\x9f\x98\x80',
        ):
            yield "application/json", (text * (size // len(text)))[:size]
        keys = json.dumps(["photos/alice/" + "\U0001f600" * 200] * (size // 900), ensure_ascii=False)
        yield "application/json", keys.encode()
    for size in (1000, 10**6, 20 * 10**6):
        yield "text/plain", b"\n" * size
        yield "text/plain", b"a" * size
        yield "text/plain", b"photos/alice/\xff\n" * (size // 15)
    for _, body in forged_bodies():
        yield ARROW, body
    yield ARROW, arrow(["photos/alice/a"] * 100)
    yield ARROW, arrow(["photos/alice/" + "a" * 100] * 70_000)
    yield ARROW, arrow(["photos/alice/a"] * 460_000)
    yield ARROW, b"\xff\xff\xff\xff" + struct.pack("<I", 7 << 20) + b"\x10\0\0\0" * (4 << 20 >> 4)


BODIES = list(_bodies())


def attempt(seconds: float, seed: int, directory: Path) -> Attempt:
    with answering() as sts:
        policy = (
            POLICY.replace("bulk = true", "bulk = true\ntemporary_keys = true") + f'[sdk]\nsts_endpoint = "{sts.url}"\n'
        )
        policies = tuple("workers = 2\n" + each for each in (policy.replace("photos/bob/", "photos/rob/"), policy))
        with serving(directory / "gateway.toml", policy, workers=2) as served:
            found = Attempt(served, policies, seed)  # type: ignore[arg-type]
            found.run(seconds)
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        found = attempt(arguments.seconds, arguments.seed, Path(directory))
    print(
        {"seed": arguments.seed, "done": dict(found.counts), "reloads": found.reloads, "growth_MiB": found.growth()},
        *found.wrong[:20],
        sep="\n",
    )
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
