"""Ctrl-C in the middle of bulk work: it stops at once, and nothing is half returned."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pyarrow
import pytest

from cossign import Credentials, Signer, waits
from cossign.request import SigningRequest
from tests.conftest import BUCKET, REGION, SECRET_ID, SECRET_KEY
from tests.waiting import PATIENCE, until

CALLS = {
    "presign_many": "signer.presign_many(keys)",
    "presign_many, threads": "signer.presign_many(keys, threads=2)",
    "presign_many of a generator": "signer.presign_many(key for key in keys)",
    "presign_many with columns": "signer.presign_many(keys, query={'n': numbers})",
    "verify_many": "signer.verify_many(urls)",
    "verify_many, threads": "signer.verify_many(urls, threads=2)",
    "getObjectUrls": f"client.getObjectUrls(Bucket={BUCKET!r}, Region={REGION!r}, Keys=keys)",
    "presign_arrow": "[chunk for chunk in signer.presign_arrow(column)]",
    "presign_arrow into pyarrow": "pa.chunked_array(signer.presign_arrow(column))",
    "presign_arrow into pyarrow, threads": "pa.chunked_array(signer.presign_arrow(column, threads=2))",
    "presign_arrow, threads": "[len(chunk) for chunk in signer.presign_arrow(column, threads=2)]",
}
PROGRAM = """
import signal
import pyarrow as pa
from cossign import COS, Credentials, Signer
signer = Signer(Credentials({id!r}, {key!r}), bucket={bucket!r}, region={region!r}, engine="hashlib")
client = COS(SecretId={id!r}, SecretKey={key!r})
keys = [f"photos/{{number}}.jpg" for number in range(50_000)]
urls = signer.presign_many(keys) * 100
keys *= 100
numbers = range(len(keys))
column = pa.chunked_array([pa.array(keys[:50_000])] * 100)
times = 0
def handler(*given):
    global times
    times += 1
    raise KeyboardInterrupt
signal.signal(signal.SIGINT, handler)
try:
    print("ready", flush=True)
    try:
        {call}
    except Exception:  # pyarrow makes an error of its own of what interrupts a stream that it reads
        pass
    for _ in range(2):  # where Python looks whether anything is pending
        pass
    print("it ended")
except KeyboardInterrupt:
    print("interrupted", times, flush=True)
"""


def seconds_worked(pid: int) -> float:
    """The CPU time of a process until now: how busy the machine is does not change it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        pytest.skip("there is no /proc here, which tells how long a process has worked")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_idle(pid: int) -> bool:
    """Whether a process does nothing for a quarter of a second."""
    before = seconds_worked(pid)
    time.sleep(0.25)
    return seconds_worked(pid) == before


@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c(call: str) -> None:
    pytest.importorskip("pyarrow")
    code = PROGRAM.format(id=SECRET_ID, key=SECRET_KEY, bucket=BUCKET, region=REGION, call=CALLS[call])
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        begun = seconds_worked(process.pid)
        until(lambda: seconds_worked(process.pid) > begun + 0.2, "some work")
        sent = seconds_worked(process.pid)
        os.kill(process.pid, signal.SIGINT)
        said = process.stdout.readline()
        worked = seconds_worked(process.pid) - sent
        process.wait()
    assert said == "interrupted 1\n"  # a program may end at once at the second
    assert worked < 2  # of the many that the whole call takes


def test_an_interrupt_of_whoever_reads_is_raised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader signs, too: what interrupts it must not wait for the turn of the rows that it was signing."""
    signer = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region=REGION)
    keys = pyarrow.array([str(number) for number in range(30_000)])
    expires = pyarrow.array([f"{number + 1}m" for number in range(30_000)])  # each of them is made in Python
    make = SigningRequest.url
    begun = interrupted = False

    def interrupt(self: SigningRequest, *given: Any) -> Any:
        nonlocal interrupted
        if begun and threading.current_thread() is threading.main_thread():
            interrupted = True
            raise KeyboardInterrupt
        return make(self, *given)

    monkeypatch.setattr(SigningRequest, "url", interrupt)
    stream = iter(signer.presign_arrow(keys, expires=expires, threads=2))
    begun = True
    seen: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        seen.extend(interrupted for _ in stream)
    assert interrupted
    assert not any(seen)
    assert list(stream) == []


WAITING = """
import signal
import sys
import threading
import time

from cossign import waits
from cossign.cli import main

waits.SECONDS = {seconds}
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGINT}})


def take_signals():
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {{signal.SIGINT}})
    while True:
        time.sleep(60)


threading.Thread(target=take_signals, daemon=True).start()
sys.exit(main(["presign", "-", "--from", "csv", "-o", "out.csv", "-b", {bucket!r}, "-r", {region!r}]))
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals go to no chosen thread here")
def test_ctrl_c_where_no_signal_ends_a_wait(tmp_path: Path) -> None:
    """On Windows none does. Here another thread takes the signal, which the wait of the main thread outlives, too."""
    code = WAITING.format(seconds=0.05, bucket=BUCKET, region=REGION)
    environment = {**os.environ, "COS_SECRET_ID": SECRET_ID, "COS_SECRET_KEY": SECRET_KEY}
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write("key\na\n")  # the rest never comes
        process.stdin.flush()
        until(lambda: any(tmp_path.iterdir()), "the job's begin")
        until(lambda: is_idle(process.pid), "it to wait")
        os.kill(process.pid, signal.SIGINT)
        try:
            assert process.wait(PATIENCE) == 130
        finally:
            process.kill()
        assert "interrupted" in process.stderr.read()
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("seconds", [None, 0.01])
def test_waits_are_as_long_as_they_must(seconds: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "SECONDS", seconds)
    may_end = threading.Event()
    items: SimpleQueue[int] = SimpleQueue()

    def work() -> None:
        may_end.wait()
        items.put(1)

    thread = threading.Thread(target=work, daemon=True)  # which a test that fails leaves
    thread.start()
    for patience in (0, 0.05):
        begun = time.monotonic()
        waits.join(thread, patience)
        assert thread.is_alive()
        assert time.monotonic() - begun >= patience
    threading.Timer(0.1, may_end.set).start()
    assert waits.get(items) == 1
    waits.join(thread)
    assert not thread.is_alive()
