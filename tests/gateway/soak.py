"""A gateway at full rate, while everything around it misbehaves: `python -m tests.gateway.soak --seconds 600`.

Every second its configuration is reloaded and its credentials are changed. Clients go away in the middle, send their heads
byte by byte, send too much. At the end no answer may have been wrong, none 5xx, and the memory must be what it was.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlsplit

from tests.conftest import BUCKET
from tests.conftest import HOST as COS_HOST
from tests.cos_server import refusal
from tests.gateway.serving import ALICE, BOB, HOST, POLICY, PROXY, Answer, Client, Served, carols, head, serving
from tests.gateway.sts import Sts, allows, answering
from tests.waiting import PATIENCE, until

ORIGIN = "https://app.example.com"
CDN_KEY = "keyOfTheCdn1"
DOORS = f"""
[[caller.allow]]
routes = ["cdn"]
prefixes = ["photos/public/"]

[[route]]
name = "cdn"
path = "/cdn/"
bucket = "{BUCKET}"
region = "ap-beijing"
prefix = "photos/"
cdn = {{ kind = "D", host = "cdn.example.com", key_file = "cdn.key", authorize = true }}

[sdk]
sts_endpoint = "STS"
"""
SECRETS = (("AKIDsoakA", "key-of-soak-a"), ("AKIDsoakB", "key-of-soak-b"))
LUA = """
local count = 0
request = function()
  count = count + 1
  return wrk.format("GET", "/img/alice/" .. count .. ".jpg")
end
"""


class Soak:
    """The load, and what was wrong with the answers."""

    def __init__(self, served: Served, sts: Sts, directory: Path, seed: int, policies: tuple[str, str]) -> None:
        self.served = served
        self.sts = sts
        self.directory = directory
        self.seed = seed
        self.policies = policies
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()
        self.signed_by: Counter[str] = Counter()
        self.memory: list[tuple[float, int]] = []
        self.ended = threading.Event()
        self.reloads = 0

    def run(self, seconds: float, least: int) -> None:
        """Go on for so many seconds, and until everything was done at least so often, however slow the machine is."""
        doings: tuple[Callable[[random.Random], object], ...] = (
            self.redirect, self.redirect, self.authorize, self.sign, self.bulk, self.leave, self.drip, self.too_much,
            self.ask_for_signatures, self.ask_for_keys, self.follow_links, self.ask_from_a_page,
        )  # fmt: skip
        threads = [threading.Thread(target=self._again, args=(doing, n)) for n, doing in enumerate(doings)]
        threads += [threading.Thread(target=self._every_second), threading.Thread(target=self._watch)]
        script = self.directory / "soak.lua"
        script.write_text(LUA)
        load = [
            "wrk", "-t1", "-c16", "--timeout", f"{PATIENCE}s", f"-d{int(seconds)}s", "-s", str(script),
            "-H", f"Host: {HOST}", "-H", f"Authorization: {ALICE['Authorization']}",
            f"http://127.0.0.1:{self.served.port}",
        ]  # fmt: skip
        for thread in threads:
            thread.start()

        def enough() -> bool:
            said = subprocess.run(load, stdout=subprocess.PIPE, text=True, check=True).stdout
            self.counts["wrk"] += int(re.findall(r"(\d+) requests in", said)[0])
            self.wrong += [
                f"wrk: {line.strip()}" for line in said.splitlines() if re.search("Non-2xx|Socket err", line)
            ]
            often = min(self.counts[doing.__name__] for doing in doings) >= least <= self.reloads
            return bool(self.wrong) or (often and min(self.signed_by[secret_id] for secret_id, _ in SECRETS) >= least)

        try:
            until(enough, f"{least} requests of each kind, reloads and URLs of each SecretId")
        finally:
            self.ended.set()
        for thread in threads:
            thread.join(PATIENCE)
            if thread.is_alive():
                self.wrong.append("a thread hangs")
        for name, value in self.served.metrics().items():
            if ('result="unavailable"' in name or "refused_reloads" in name) and value:
                self.wrong.append(f"{name} {value}")

    def _again(self, doing: Callable[[random.Random], object], number: int) -> None:
        shuffle = random.Random(self.seed + number)
        while not self.ended.is_set():
            try:
                doing(shuffle)
                self.counts[doing.__name__] += 1
            except Exception as error:
                self.wrong.append(f"{doing.__name__}: {error!r}")
            self.ended.wait(shuffle.random() / 50)

    # --- What changes

    def _every_second(self) -> None:
        while not self.ended.wait(1):
            self.reloads += 1
            write_credentials(self.directory, *SECRETS[self.reloads % 2])
            try:
                self.served.reload(self.policies[self.reloads % 2], "reloaded")
            except AssertionError as error:
                self.wrong.append(f"reload: {error!r}"[:500])

    def _watch(self) -> None:
        """The workers' memory, as what they hold and nobody else."""
        begun = time.monotonic()
        while not self.ended.wait(0.25):
            total = 0
            pid = self.served.process.pid
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                found = re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{child}/status").read_text())
                total += int(found[1]) if found else 0
            self.memory.append((time.monotonic() - begun, total))

    # --- What clients do

    def _ask(self, data: bytes, method: str = "GET", proxy: bool = False) -> Answer:
        client = Client(self.served.port, PROXY if proxy else "127.0.0.1")
        try:
            answer = client.send(data, method)
        finally:
            client.close()
        if answer[0] == 0 or answer[0] >= 500:
            self.wrong.append(f"{data[:100]!r}: {answer[0]} {answer[2][:100]!r}")
        return answer

    def _want(self, answer: Answer, status: int, reason: str = "") -> bool:
        if answer[0] != status or answer[1].get("x-cossign-reason", "") != reason:
            self.wrong.append(f"{answer} is not {status} {reason}"[:500])
        return answer[0] == status

    def _right(self, url: str, key: str, method: str = "GET") -> None:
        parts = urlsplit(url)
        asked = f"{parts.path}?{parts.query}".encode()
        refusals = [
            refusal(method.encode(), asked, [(b"host", COS_HOST.encode())], *secrets, None, time.time())
            for secrets in SECRETS
        ]
        if "" not in refusals or parts.netloc != COS_HOST or unquote_to_bytes(parts.path[1:]).decode() != key:
            self.wrong.append(f"{url} for {key!r}: {refusals}"[:500])
        else:
            self.signed_by[SECRETS[refusals.index("")][0]] += 1

    def redirect(self, shuffle: random.Random) -> None:
        key = re.sub("/+", "/", "".join(shuffle.choices("abc ä头+&?/", k=8))).strip("/") + "x"
        headers, own, other = shuffle.choice(((ALICE, "alice", "bob"), (BOB, "bob", "alice"), ({}, "public", "alice")))
        answer = self._ask(head("GET", f"/img/{own}/{quote(key)}", headers))
        if self._want(answer, 302):
            self._right(answer[1]["location"], f"photos/{own}/{key}")
        self._want(self._ask(head("GET", f"/img/{other}/{quote(key)}", headers)), 403, "prefix")
        self._want(self._ask(head("GET", f"/img/{own}/%2e%2e/{other}/a", headers)), 400, "dot_segment")
        self._want(self._ask(head("GET", f"/img/{own}/a", {"Authorization": "Bearer no"})), 401, "unknown_token")
        put = self._ask(head("PUT", f"/up/alice/{quote(key)}", {**ALICE, "Content-Length": "0"}), "PUT")
        if self._want(put, 307):
            self._right(put[1]["location"], f"uploads/alice/{key}", "PUT")

    def authorize(self, shuffle: random.Random) -> None:
        signature = carols("GET", "/img/carol/a")
        for target, headers, status, reason in (
            ("/img/alice/a", ALICE, 204, ""), ("/img/bob/a", ALICE, 403, "prefix"), ("/img/a", {}, 403, "prefix"),
            ("/img/carol/a", {"Authorization": signature}, 204, ""),
            ("/img/carol/b", {"Authorization": signature}, 401, "bad_signature"),
        ):  # fmt: skip
            asked = {"X-Original-URI": target, "X-Original-Method": "GET", **headers}
            self._want(self._ask(head("GET", "/authorize", asked), proxy=True), status, reason)
            self._want(self._ask(head("GET", "/authorize", asked)), 403, "untrusted")

    def sign(self, shuffle: random.Random) -> None:
        key = f"a{shuffle.randrange(10**9)}"
        asked = {"X-Original-URI": f"/img/alice/{key}", "X-Original-Method": "GET", **ALICE}
        answer = self._ask(head("GET", "/sign", asked), proxy=True)
        if self._want(answer, 204):
            target = answer[1]["x-cossign-target"]
            pairs = [(b"host", COS_HOST.encode()), (b"authorization", answer[1]["x-cossign-authorization"].encode())]
            refusals = [refusal(b"GET", target.encode(), pairs, *secrets, None, time.time()) for secrets in SECRETS]
            if "" not in refusals or target != f"/photos/alice/{key}":
                self.wrong.append(f"{answer}: {refusals}"[:500])

    def bulk(self, shuffle: random.Random) -> None:
        count = shuffle.choice((0, 1, 10, 20_000))
        keys = [f"photos/alice/{shuffle.randrange(10**9)}" for _ in range(count)]
        body = "".join(key + "\n" for key in keys).encode()
        request = head("POST", "/presign?route=img", {**ALICE, "Content-Length": str(len(body))}) + body
        answer = self._ask(request, "POST")
        if self._want(answer, 200):
            urls = answer[2].decode().splitlines()
            if len(urls) != count:
                self.wrong.append(f"{len(urls)} rows of {count}")
            for index in shuffle.sample(range(count), min(count, 5)):
                self._right(urls[index], keys[index])
        refused = b"photos/bob/a\n"
        request = head("POST", "/presign?route=img", {**ALICE, "Content-Length": str(len(refused))}) + refused
        self._want(self._ask(request, "POST"), 403, "prefix")

    def _post(self, door: str, body: object, headers: dict[str, str]) -> Answer:
        data = json.dumps(body).encode()
        sent = {**headers, "Content-Type": "application/json", "Content-Length": str(len(data))}
        return self._ask(head("POST", f"/sdk/{door}", sent) + data, "POST")

    def ask_for_signatures(self, shuffle: random.Random) -> None:
        """As the SDKs do in getAuthorization."""
        key = f"photos/alice/{shuffle.randrange(10**9)} ä"
        asked = {"Bucket": BUCKET, "Region": "ap-beijing", "Method": "GET", "Key": key, "Headers": {"Host": COS_HOST}}
        answer = self._post("authorization", asked, ALICE)
        if self._want(answer, 200):
            value = json.loads(answer[2])["Authorization"].encode()
            pairs = [(b"host", COS_HOST.encode()), (b"authorization", value)]
            target = quote("/" + key).encode()
            if all(refusal(b"GET", target, pairs, *secrets, None, time.time()) for secrets in SECRETS):
                self.wrong.append(f"{answer} for {key!r}"[:500])
        self._want(self._post("authorization", asked, BOB), 403, "prefix")
        self._want(self._post("authorization", {**asked, "Method": "DELETE"}, ALICE), 403, "prefix")

    def ask_for_keys(self, shuffle: random.Random) -> None:
        """As the SDKs do in getSTS."""
        answer = self._post("credentials", {}, ALICE)
        if self._want(answer, 200):
            policy = self.sts.policies[json.loads(answer[2])["credentials"]["tmpSecretId"]]
            may = [allows(policy, "GetObject", f"photos/{name}/a", {}) for name in ("alice", "bob", "public")]
            if may != [True, False, False]:
                self.wrong.append(f"{policy}"[:500])
        self._want(self._post("credentials", {}, BOB), 403, "not_granted")

    def follow_links(self, shuffle: random.Random) -> None:
        """To the CDN, which is a proxy that asks the gateway."""
        key = f"public/{shuffle.randrange(10**9)}"
        answer = self._ask(head("GET", f"/cdn/{key}", {}))
        if not self._want(answer, 302):
            return
        parts = urlsplit(answer[1]["location"])
        sign, timestamp = re.fullmatch("sign=([0-9a-f]{32})&t=([0-9]{10})", parts.query).groups()  # type: ignore[union-attr]
        if (
            parts.path != f"/photos/{key}"
            or sign != hashlib.md5((CDN_KEY + parts.path + timestamp).encode()).hexdigest()
        ):
            self.wrong.append(f"{answer}"[:500])
        target = f"{parts.path}?{parts.query}"
        for asked_target, status, reason in (
            (target, 204, ""), (target.replace("public", "alice"), 401, "bad_signature"),
        ):  # fmt: skip
            asked = {"X-Original-URI": asked_target, "X-Original-Method": "GET"}
            self._want(self._ask(head("GET", "/authorize", asked), proxy=True), status, reason)

    def ask_from_a_page(self, shuffle: random.Random) -> None:
        origin = shuffle.choice((ORIGIN, "https://evil.example.com"))
        wanted = origin if origin == ORIGIN else None
        preflight = self._ask(
            head("OPTIONS", "/img/alice/a", {"Origin": origin, "Access-Control-Request-Method": "GET"}), "OPTIONS"
        )
        answer = self._ask(head("GET", "/img/alice/a", {**ALICE, "Origin": origin}))
        self._want(answer, 302)
        for each in (preflight, answer):
            if each[1].get("access-control-allow-origin") != wanted:
                self.wrong.append(f"{origin}: {each}"[:500])

    def leave(self, shuffle: random.Random) -> None:
        """Go in the middle of a request, or of its answer."""
        body = b"photos/alice/a\n" * 50_000
        data = head("POST", "/presign?route=img", {**ALICE, "Content-Length": str(len(body))}) + body
        connection = Client(self.served.port).connect()
        connection.sendall(data[: shuffle.choice((10, 100, 300, 10_000, len(data)))])
        if shuffle.random() < 0.5:
            connection.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                connection.recv(shuffle.choice((1, 1000, 100_000)))
        connection.close()

    def drip(self, shuffle: random.Random) -> None:
        """Send a head byte by byte, for as long as it lasts, or a body."""
        connection = Client(self.served.port).connect()
        data = shuffle.choice((
            head("GET", "/img/public/" + "a" * 100, {}),
            head("POST", "/presign?route=img", {**ALICE, "Content-Length": "100"}) + b"photos/alice/",
        ))  # fmt: skip
        try:
            for at in range(len(data)):
                connection.sendall(data[at : at + 1])
                if self.ended.wait(0.02):
                    break
        except OSError:
            pass  # the server has lost its patience
        connection.close()

    def too_much(self, shuffle: random.Random) -> None:
        client = Client(self.served.port)
        for data in (
            head("GET", "/img/public/a", {"X-Large": "a" * 600_000}),
            head("GET", "/img/public/" + "a" * 70_000, {}),
            head("GET", "/img/public/a?" + "a" * 10_000, {}),
            head("POST", "/presign?route=img", {**ALICE, "Content-Length": str(1 << 40)}),
            head("PUT", "/up/alice/a", {**ALICE, "Content-Length": "1000000"}) + b"a" * 1_000_000,
        ):
            answer = client.send(data)
            client.close()
            if answer[0] >= 500 or answer[0] == 204:
                self.wrong.append(f"{data[:100]!r}: {answer[:2]}")

    def growth(self) -> float:
        """The memory at the end, as a multiple of what it was after the first third."""
        length = self.memory[-1][0]
        early = [size for at, size in self.memory if length / 3 <= at < length / 2]
        late = [size for at, size in self.memory if at >= length * 5 / 6]
        return statistics.median(late) / statistics.median(early)


def write_credentials(directory: Path, secret_id: str, secret_key: str) -> None:
    """In coscmd's form, at once."""
    new = directory / "new.conf"
    new.write_text(
        f"[common]\nsecret_id = {secret_id}\nsecret_key = {secret_key}\nbucket = {BUCKET}\nregion = ap-beijing\n"
    )
    new.replace(directory / "cos.conf")


def soak(seconds: float, seed: int, directory: Path, least: int = 10) -> Soak:
    write_credentials(directory, *SECRETS[0])
    policy = POLICY.replace('source = "environment"', f'source = "file", path = "{directory}/cos.conf"')
    policy = f'access_log = "{directory}/access.log"\n' + policy
    policy = policy.replace("[client_certificate]", "[bulk]\nconcurrent = 16\n\n[client_certificate]")
    policy = policy.replace("bulk = true", "bulk = true\ntemporary_keys = true")
    policy = policy.replace('name = "img"\n', f'name = "img"\ncors = ["{ORIGIN}"]\n')
    (directory / "cdn.key").write_text(CDN_KEY)
    with answering() as sts:
        policy += DOORS.replace("STS", sts.url).replace("cdn.key", f"{directory}/cdn.key")
        return _soak(seconds, seed, directory, policy, sts, least)


def _soak(seconds: float, seed: int, directory: Path, policy: str, sts: Sts, least: int) -> Soak:
    other = policy.replace("photos/dave/", "photos/david/")
    with serving(directory / "gateway.toml", policy, workers=2) as served:
        begin = "workers = 2\n"
        found = Soak(served, sts, directory, seed, (begin + policy, begin + other))
        found.run(seconds, least)
        begun = time.monotonic()
        served.process.terminate()
        status = served.process.wait(PATIENCE)
        if status != 0:
            found.wrong.append(f"it ended with {status} after {time.monotonic() - begun:.1f} s")
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        found = soak(arguments.seconds, arguments.seed, Path(directory))
        logged = sum(path.stat().st_size for path in Path(directory).glob("access.log"))
    told: dict[str, Any] = {
        "seed": arguments.seed, "done": dict(found.counts), "reloads": found.reloads, "signed_by": dict(found.signed_by),
        "memory_MiB": [round(found.memory[at][1] / 1024) for at in (0, len(found.memory) // 3, -1)],
        "growth": round(found.growth(), 3), "access_log_MB": logged // 10**6, "wrong": len(found.wrong),
    }  # fmt: skip
    print(told, *found.wrong[:20], sep="\n")
    return 1 if found.wrong or found.growth() > 1.05 else 0


if __name__ == "__main__":
    sys.exit(main())
