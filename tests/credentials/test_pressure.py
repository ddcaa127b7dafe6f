"""64 threads and 1,000 tasks on credentials of two seconds, from a service that does everything wrong."""

from __future__ import annotations

import asyncio
import faulthandler
import json
import logging
import pickle
import random
import re
import select
import socket
import tempfile
import threading
import time
from typing import Any

import pytest

from cossign import CredentialsError, CvmRoleCredentials, Signer
from tests.conftest import BUCKET, REGION, scaled
from tests.credentials.test_services import Answer, serving
from tests.waiting import PATIENCE, until


class Service:
    """A metadata service in one mood at a time; it knows whom it gave what, and until when."""

    def __init__(self) -> None:
        self.mood = "well"
        self.issued: dict[str, float] = {}
        self.secrets: list[str] = []
        self.answered: dict[str, int] = {}

    def __call__(self, handler: Any, _: bytes) -> Answer | None:
        mood = self.mood
        self.answered[mood] = self.answered.get(mood, 0) + 1
        if mood == "fails":
            return 500, b"", {}
        if mood == "garbage":
            return 200, random.randbytes(200), {}
        if mood == "hangs up":
            handler.connection.shutdown(socket.SHUT_RDWR)
            return None
        if mood == "hangs":
            select.select([handler.connection], [], [], PATIENCE)  # until the client gives up
            return None
        if mood == "trickles":
            try:
                while True:
                    handler.wfile.write(b"H")
                    time.sleep(0.01)
            except OSError:
                return None
        name = f"AKID{len(self.issued):06d}"
        secrets = [f"hidden{random.getrandbits(128):032x}" for _ in range(2)]
        end = int(time.time()) + 2 if mood == "well" else int(time.time()) - 5
        self.secrets += secrets
        self.issued[name] = end
        answer = {
            "TmpSecretId": name,
            "TmpSecretKey": secrets[0],
            "Token": secrets[1],
            "ExpiredTime": end,
            "Code": "Success",
        }
        if mood == "lacks":
            del answer["Token"]
        return 200, json.dumps(answer).encode(), {}


MOODS = ["well", "fails", "garbage", "hangs", "hangs up", "trickles", "stale", "lacks"]


@scaled("rounds", 1, 4)
def test_pressure(rounds: int, caplog: pytest.LogCaptureFixture) -> None:
    """In each round every mood comes once, in another order, and lasts until it has been felt."""
    service = Service()
    ended = threading.Event()
    bad: list[Any] = []
    done = [0] * 1064
    refused = [0] * 1064
    at_once = {"now": 0, "most": 0}
    lock = threading.Lock()

    def check(index: int, before: float, url: str) -> None:
        secret_id = re.findall("q-ak=(AKID[0-9]+)", url)[0]
        if service.issued[secret_id] <= before:
            bad.append(("expired", secret_id, service.issued[secret_id], before))
        done[index] += 1

    with serving(service) as url, caplog.at_level(logging.DEBUG):
        provider = CvmRoleCredentials("role", endpoint=url, seconds=0.3, timeout=PATIENCE)
        fetch = provider._fetch

        def counted() -> Any:
            with lock:
                at_once["now"] += 1
                at_once["most"] = max(at_once["most"], at_once["now"])
            try:
                return fetch()
            finally:
                with lock:
                    at_once["now"] -= 1

        provider._fetch = counted
        signer = Signer(provider, bucket=BUCKET, region=REGION)

        def sign(index: int) -> None:
            try:
                while not ended.is_set():
                    before = time.time()
                    try:
                        found = signer.presign("a.jpg") if index % 2 else signer.presign_many(["a.jpg", "b.jpg"])[1]
                        check(index, before, found)
                    except CredentialsError:
                        refused[index] += 1
                    time.sleep(0.02)
            except BaseException as error:
                bad.append(error)

        async def sign_async(index: int) -> None:
            while not ended.is_set():
                try:
                    await signer.ready()
                    before = time.time()
                    check(index, before, signer.presign("a.jpg"))
                except CredentialsError:
                    refused[index] += 1
                await asyncio.sleep(0.2)

        async def tasks() -> None:
            await asyncio.gather(*(sign_async(index) for index in range(64, 1064)))

        threads = [threading.Thread(target=sign, args=(index,), daemon=True) for index in range(64)]
        threads.append(threading.Thread(target=lambda: asyncio.run(tasks()), daemon=True))
        for thread in threads:
            thread.start()
        source = random.Random(20261125)
        for mood in (mood for _ in range(rounds) for mood in source.sample(MOODS[1:], len(MOODS) - 1)):
            answered, refusals = service.answered.get(mood, 0), sum(refused)
            service.mood = mood
            until(lambda: service.answered.get(mood, 0) > answered, f"a refresh while the service {mood}")  # noqa: B023
            if mood == "fails":  # until the last good credentials have expired
                until(lambda: sum(refused) > refusals, "a refusal")  # noqa: B023
            issued, signatures = len(service.issued), sum(done)
            service.mood = "well"
            until(lambda: len(service.issued) > issued, "new credentials")  # noqa: B023
            until(lambda: sum(done) > signatures + 100, "a hundred more signatures")  # noqa: B023
        until(lambda: min(done) > 0, "a signature of everybody")
        with tempfile.TemporaryFile() as dump:
            faulthandler.dump_traceback(dump, all_threads=True)
            dump.seek(0)
            dumped = dump.read().decode()
        shown = repr(signer) + repr(provider) + repr(vars(provider)) + repr(pickle.dumps(signer))
        ended.set()
        for thread in threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in threads)  # no deadlock
    assert bad == []
    assert at_once == {"now": 0, "most": 1}
    assert set(service.answered) == set(MOODS)
    told = caplog.text + shown + dumped
    assert "hidden" not in told
    assert not [secret for secret in service.secrets if secret in told]
