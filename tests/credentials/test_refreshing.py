"""RefreshingCredentials: ahead of expiry, one call at a time, what serves while it fails; and Clock."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import subprocess
import sys
import threading
import time
import traceback
from typing import Any

import pytest
import time_machine

import cossign
from cossign import (
    Clock,
    Credentials,
    CredentialsError,
    CredentialsNotFound,
    ParameterError,
    RefreshingCredentials,
    Signer,
)
from cossign.credentials import refreshing
from cossign.credentials.answers import read_answer
from tests.conftest import BUCKET, REGION
from tests.waiting import PATIENCE, until

SECRET, TOKEN = "hidden-key", "hidden-token"
PACKAGE = os.path.dirname(cossign.__file__) + os.sep


class Service:
    """What gives credentials: counts its calls, and does as it is told."""

    def __init__(self, lifetime: float = 1000) -> None:
        self.calls = 0
        self.lifetime = lifetime
        self.fails: Exception | None = None
        self.gate: threading.Event | None = None

    def __call__(self) -> Credentials:
        self.calls += 1
        if self.gate is not None:
            assert self.gate.wait(PATIENCE)
        if self.fails is not None:
            raise self.fails
        return Credentials(f"AKID{self.calls}", SECRET, TOKEN, time.time() + self.lifetime)


def shown(error: BaseException) -> str:
    """What is shown of an error and its causes by who shows our frames' variables, too."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [frame for frame in told.stack if frame.filename.startswith(PACKAGE)]
    assert ours
    text = str(told) + "".join(str(frame.locals) for frame in ours)
    for cause in (error.__cause__, None if error.__suppress_context__ else error.__context__):
        text += "" if cause is None else shown(cause)
    return text


def test_the_first_are_waited_for_and_kept() -> None:
    service = Service()
    provider = RefreshingCredentials(service)
    first = provider.get()
    assert (first.secret_id, service.calls) == ("AKID1", 1)
    assert provider.get() is first
    assert provider._refresh(True) is None  # as for a thread that was slower than another
    assert service.calls == 1


def test_they_are_renewed_ahead_in_the_background() -> None:
    service = Service(lifetime=1000)
    provider = RefreshingCredentials(service, refresh_before=300)
    now = time.time()
    with time_machine.travel(now, tick=True) as clock:
        assert provider.get().secret_id == "AKID1"
        clock.move_to(now + 690)
        assert provider.get().secret_id == "AKID1"
        assert service.calls == 1
        service.gate = threading.Event()
        clock.move_to(now + 710)
        for _ in range(10):
            assert provider.get().secret_id == "AKID1"  # nobody waits for the new ones
        service.gate.set()
        until(lambda: provider.get().secret_id == "AKID2")
        assert service.calls == 2


def test_half_of_a_short_life_is_lived() -> None:
    service = Service(lifetime=100)
    provider = RefreshingCredentials(service, refresh_before=300)
    now = time.time()
    with time_machine.travel(now, tick=True) as clock:
        provider.get()
        clock.move_to(now + 45)
        provider.get()
        assert service.calls == 1
        clock.move_to(now + 55)
        provider.get()
        until(lambda: service.calls == 2)


def test_expired_ones_never_serve_and_all_wait_for_one_call() -> None:
    service = Service(lifetime=100)
    provider = RefreshingCredentials(service)
    now = time.time()
    with time_machine.travel(now, tick=True) as clock:
        provider.get()
        clock.move_to(now + 101)
        service.gate = threading.Event()
        found: list[str] = []
        threads = [threading.Thread(target=lambda: found.append(provider.get().secret_id)) for _ in range(50)]
        for thread in threads:
            thread.start()
        until(lambda: service.calls == 2)
        time.sleep(0.05)
        assert found == []
        service.gate.set()
        for thread in threads:
            thread.join(PATIENCE)
        assert found == ["AKID2"] * 50
        assert service.calls == 2


def test_expired_ones_do_not_come_back_when_a_refresh_fails() -> None:
    service = Service(lifetime=100)
    provider = RefreshingCredentials(service, attempts=1)
    now = time.time()
    with time_machine.travel(now, tick=True) as clock:
        provider.get()
        service.fails = CredentialsError("no")
        clock.move_to(now + 101)
        for get in (provider.get, lambda: asyncio.run(provider.get_async())):
            with pytest.raises(CredentialsError, match="no"):
                get()
            provider._retry_at = 0  # no wait


def test_what_no_program_listens_to_is_not_printed() -> None:
    code = "from cossign import *\ntry: CvmRoleCredentials(endpoint='http://127.0.0.1:9', attempts=1).get()\nexcept CredentialsError: pass"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_the_old_ones_serve_while_a_refresh_fails(caplog: pytest.LogCaptureFixture) -> None:
    service = Service(lifetime=1000)
    provider = RefreshingCredentials(service, refresh_before=300, attempts=1)
    now = time.time()
    with time_machine.travel(now, tick=True) as clock, caplog.at_level(logging.DEBUG):
        provider.get()
        service.fails = CredentialsError("the service is away")
        clock.move_to(now + 800)
        assert provider.get().secret_id == "AKID1"
        until(lambda: "the old credentials serve for" in caplog.text)
        assert provider.get().secret_id == "AKID1"
        clock.move_to(now + 1001)
        with pytest.raises(CredentialsError, match="the service is away"):
            provider.get()
        with pytest.raises(CredentialsError, match="the service is away"):  # at once, without another call
            provider.get()
        service.fails = None
        until(lambda: recovered(provider))
    assert SECRET not in caplog.text
    assert TOKEN not in caplog.text


def recovered(provider: RefreshingCredentials) -> bool:
    try:
        provider.get()
    except CredentialsError:
        return False
    return True


class Moments:
    """The module `time` of refreshing.py, where time passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_a_failed_call_is_tried_again_and_then_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = Moments()
    monkeypatch.setattr(refreshing, "time", moments)
    service = Service()
    service.fails = CredentialsError("no")
    provider = RefreshingCredentials(service, attempts=3)
    pauses: list[float] = []
    for calls in (3, 6, 9):
        for _ in range(100):
            with pytest.raises(CredentialsError):
                provider.get()
        assert service.calls == calls  # three attempts, and then none until the pause is over
        pauses.append(provider._retry_at - moments.now)
        moments.now += pauses[-1]
    for first, second in (moments.slept[:2], moments.slept[2:4], moments.slept[4:]):
        assert 0.1 <= first <= 0.2 <= second <= 0.4  # it waited between the attempts, longer each time
    assert 0.25 <= pauses[0] <= 0.5 <= pauses[1] <= 1 <= pauses[2] <= 2


def test_what_is_not_there_is_not_asked_for_again() -> None:
    service = Service()
    service.fails = CredentialsNotFound("nothing here")
    with pytest.raises(CredentialsNotFound, match="nothing here"):
        RefreshingCredentials(service).get()
    assert service.calls == 1


@pytest.mark.parametrize("error", [ValueError(f"bad answer {SECRET}"), SystemExit(SECRET), KeyError(TOKEN)])
def test_a_strangers_error_is_told_by_its_place_alone(error: Any) -> None:
    def fetch() -> Credentials:
        answer = {"TmpSecretKey": SECRET}
        assert answer
        raise error

    with pytest.raises(CredentialsError, match=rf"{type(error).__name__} at test_refreshing.py:\d+") as caught:
        RefreshingCredentials(fetch, attempts=1).get()
    assert "hidden" not in shown(caught.value)


def test_who_waits_too_long_is_told_so() -> None:
    service = Service()
    service.gate = threading.Event()
    provider = RefreshingCredentials(service, timeout=0.05)
    with pytest.raises(CredentialsError, match=r"no credentials within 0.05 s; the call is still running"):
        provider.get()
    with pytest.raises(CredentialsError, match="no credentials within"):
        asyncio.run(provider.get_async())
    service.gate.set()
    until(lambda: recovered(provider))
    assert service.calls == 1


@pytest.mark.parametrize(
    "answer, said",
    [
        (None, "NoneType"), ("text", "text that is not JSON"), ("[]", "list"), ({}, "no TmpSecretId"), ({"TmpSecretId": "A"}, "no TmpSecretKey"),
        ({"TmpSecretId": "A", "TmpSecretKey": "hidden"}, "no Token"),
        ({"TmpSecretId": "A", "TmpSecretKey": "hidden", "Token": "hidden"}, "no ExpiredTime"),
        ({"TmpSecretId": "A", "TmpSecretKey": "hidden", "Token": "hidden", "ExpiredTime": "x"}, "ExpiredTime must be"),
        ({"TmpSecretId": "A", "TmpSecretKey": "hid den", "Token": "hidden", "ExpiredTime": 4.1e9}, "TmpSecretKey holds"),
        ({"TmpSecretId": "A", "TmpSecretKey": 5, "Token": "hidden", "ExpiredTime": 4.1e9}, "TmpSecretKey must be a str"),
        ({"TmpSecretId": "A", "TmpSecretKey": "hidden", "Token": "hidden", "ExpiredTime": 1e9}, "expired"),
    ],
)  # fmt: skip
def test_bad_answers_name_the_field_and_show_no_value(answer: Any, said: str) -> None:
    provider = RefreshingCredentials(lambda: answer, attempts=1)
    with pytest.raises(CredentialsError, match=said) as caught:
        provider.get()
    assert "hid" not in shown(caught.value)
    assert provider._failure is not None
    assert provider._failure.__traceback__ is None  # which would keep the answer alive
    if "expired" not in said:
        with pytest.raises(CredentialsError) as caught:
            read_answer(answer)
        assert "hid" not in shown(caught.value)


def test_permanent_ones_are_fetched_once() -> None:
    calls = []
    provider = RefreshingCredentials(lambda: calls.append(1) or Credentials("AKID", "k"))  # type: ignore[func-returns-value]
    with time_machine.travel(time.time() + 1e9):
        assert provider.get() is provider.get()
    assert len(calls) == 1


# --- asyncio


def test_a_coroutine_function() -> None:
    async def fetch() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"TmpSecretId": "AKID", "TmpSecretKey": SECRET, "Token": TOKEN, "ExpiredTime": 4.1e9}

    assert RefreshingCredentials(fetch).get().secret_id == "AKID"

    async def within_a_loop() -> str:
        return (await RefreshingCredentials(fetch).get_async()).secret_id

    assert asyncio.run(within_a_loop()) == "AKID"


def test_tasks_wait_without_blocking_the_loop() -> None:
    service = Service()
    service.gate = threading.Event()
    provider = RefreshingCredentials(service)
    signer = Signer(provider, bucket=BUCKET, region=REGION)

    async def main() -> None:
        tasks = [asyncio.create_task(provider.get_async()) for _ in range(100)]
        tasks += [asyncio.create_task(signer.ready()) for _ in range(100)]  # type: ignore[arg-type]
        ticks = 0
        while ticks < 10:
            await asyncio.sleep(0.005)
            ticks += 1
        assert not any(task.done() for task in tasks)
        tasks[0].cancel()  # one who gives up does not end it for the others
        await asyncio.sleep(0.01)
        assert service.gate is not None
        service.gate.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert {each.secret_id for each in found[1:100]} == {"AKID1"}  # type: ignore[union-attr]
        assert found[100:] == [signer] * 100

    asyncio.run(main())
    assert service.calls == 1


def test_ready_asks_any_provider() -> None:
    class Slow:
        def get(self) -> Credentials:
            threads.append(threading.current_thread())
            return Credentials("AKID", "k")

    threads: list[threading.Thread] = []
    asyncio.run(Signer(Slow(), bucket=BUCKET, region=REGION).ready())
    assert threads[0] is not threading.main_thread()
    for given in (Credentials("AKID", "k"), RefreshingCredentials(lambda: Credentials("AKID", "k"))):
        asyncio.run(Signer(given, bucket=BUCKET, region=REGION).ready())


# --- Processes


def gone(_: Any) -> Credentials:
    raise CredentialsError


def fetched() -> Credentials:
    return Credentials("AKID", SECRET, TOKEN, 4.1e9)


def test_a_pickle_holds_the_way_and_no_credentials() -> None:
    provider = RefreshingCredentials(fetched, refresh_before=60, clock=Clock(5))
    provider.get()
    signer = Signer(provider, bucket=BUCKET, region=REGION, clock=provider._clock)
    pickled = pickle.dumps(signer)
    assert b"hidden" not in pickled
    again = pickle.loads(pickled)
    assert again.clock.offset == 5
    assert again.clock is again.credentials._clock
    assert again.credentials._refresh_before == 60
    assert "AKID" in again.presign("a")
    for each in (provider, signer):
        assert "hidden" not in repr(each) + str(vars(provider)) + repr(vars(provider))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_during_a_refresh_begins_its_own() -> None:
    service = Service()
    service.gate = threading.Event()
    provider = RefreshingCredentials(service, timeout=PATIENCE)
    waiting = threading.Thread(target=provider.get)
    waiting.start()
    until(lambda: service.calls == 1)
    child = os.fork()
    if child == 0:
        service.gate = None
        os._exit(0 if provider.get().secret_id == "AKID2" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    service.gate.set()
    waiting.join(PATIENCE)
    assert provider.get().secret_id == "AKID1"


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    service = Service(lifetime=1000)
    provider = RefreshingCredentials(service)
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(CredentialsError, match="no thread to fetch credentials in"):
            provider.get()
    provider.get()
    with time_machine.travel(now + 900), monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert provider.get().secret_id == "AKID1"


@pytest.mark.parametrize(
    "named, said",
    [({"fetch": 5}, "fetch"), ({"refresh_before": 0}, "refresh_before"), ({"attempts": True}, "attempts"), ({"timeout": "x"}, "timeout")],
)  # fmt: skip
def test_parameters_are_checked(named: Any, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        RefreshingCredentials(**{"fetch": fetched, **named})


# --- Clock


def test_a_clock_learns_the_time() -> None:
    clock = Clock()
    with time_machine.travel(1_795_590_000, tick=False):
        assert clock.now() == 1_795_590_000
        clock.learn("Wed, 25 Nov 2026 07:00:01 GMT")
        assert clock.offset == 0  # within what a whole second can tell
        clock.learn("Wed, 25 Nov 2026 07:10:00 GMT")
        assert clock.offset == 600.5
        assert clock.now() == 1_795_590_600.5
        clock.learn("Wed, 25 Nov 2026 06:00:00 GMT")
        assert clock.offset == -3599.5
    for bad in ("", "tomorrow", None, 5):
        with pytest.raises(ParameterError, match="Date header"):
            clock.learn(bad)  # type: ignore[arg-type]
    assert repr(clock) == "Clock(offset=-3599.5)"


@time_machine.travel(1_795_590_000, tick=False)
def test_signatures_and_expiry_go_by_the_clock() -> None:
    clock = Clock(-3600)
    service = Service(lifetime=1000)
    provider = RefreshingCredentials(service, clock=clock)
    signer = Signer(provider, bucket=BUCKET, region=REGION, clock=clock)
    key_time = (1_795_586_399, 1_795_587_299)
    assert signer.verify(signer.presign("a")).key_time == key_time
    assert signer.verify(signer.presign_many(["a"])[0]).key_time == key_time
    assert "q-sign-time=1795586399;1795587299&" in signer.authorization("GET", "a")
    clock.offset = 1001
    with pytest.raises(CredentialsError, match="clock"):  # the new ones have ended by then, too
        RefreshingCredentials(service, clock=clock, attempts=1).get()
    with pytest.raises(CredentialsError, match="have expired"):
        Signer(Credentials("A", "k", "t", time.time() + 1000), bucket=BUCKET, region=REGION, clock=clock).presign("a")
    with pytest.raises(ParameterError, match=r"clock must be a cossign\.Clock"):
        Signer(provider, clock=5)  # type: ignore[arg-type]
