"""Keys that change every two seconds, under a clock that jumps: no dead URL; and a clock that has learnt the time."""

from __future__ import annotations

import pickle
import time

import pytest
import time_machine

from cossign import Clock, Credentials, RefreshingCredentials
from cossign.credentials import clock as clocks
from cossign.credentials import refreshing
from tests.conftest import scaled
from tests.credentials.rotation import rotate

NOW = 1_795_590_000  # Wed, 25 Nov 2026 07:00:00 GMT


@scaled("seconds", 4, 40)
def test_no_url_is_dead(seconds: int) -> None:
    outcome = rotate(seconds, seed=seconds)
    assert outcome.dead == []
    assert outcome.errors == []
    assert outcome.urls > 0
    assert outcome.keys >= 2
    assert outcome.jumps >= 2


@pytest.fixture
def elapsed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that have passed whatever the machine's clock says."""
    seconds = [100.0]
    for module in (clocks, refreshing):
        monkeypatch.setattr(module, "elapsed_seconds", lambda: seconds[0])
    return seconds


def test_a_clock_that_has_learnt_the_time_keeps_to_it(elapsed: list[float]) -> None:
    with time_machine.travel(NOW, tick=False) as machine:
        clock = Clock()
        clock.learn("Wed, 25 Nov 2026 07:00:00 GMT")
        assert clock.offset == 0
        right = float(NOW)
        for seconds, jump in ((10, 3600), (10, -7200), (0, 10**8), (5, 0), (100, 2)):
            elapsed[0] += seconds
            right += seconds
            machine.shift(seconds + jump)
            assert clock.now() == pytest.approx(right, abs=0.001)
            assert clock.now() == pytest.approx(right, abs=0.001)
        assert clock.offset == pytest.approx(NOW + 125 - time.time(), abs=0.001)


def test_a_clock_that_drifts_is_followed(elapsed: list[float]) -> None:
    """What the machine's time service corrects little by little is no jump."""
    with time_machine.travel(NOW, tick=False) as machine:
        clock = Clock()
        clock.learn("Wed, 25 Nov 2026 07:00:00 GMT")
        for _ in range(100):
            elapsed[0] += 10
            machine.shift(10.005)
            clock.now()
        assert clock.offset == 0
        assert clock.now() == pytest.approx(NOW + 1000.5, abs=0.001)


def test_a_clock_that_knows_nothing_follows_the_machine(elapsed: list[float]) -> None:
    with time_machine.travel(NOW, tick=False) as machine:
        clock = Clock(5)
        machine.shift(3600)
        assert clock.now() == NOW + 3605
        again = pickle.loads(pickle.dumps(clock))
        assert again.offset == 5
        clock.learn("Wed, 25 Nov 2026 07:00:00 GMT")
        assert clock.offset == -3599.5
        assert pickle.loads(pickle.dumps(clock)).offset == 5  # another machine's clock may be right


def test_an_offset_that_is_set_by_hand_is_kept(elapsed: list[float]) -> None:
    with time_machine.travel(NOW, tick=False) as machine:
        clock = Clock()
        clock.learn("Wed, 25 Nov 2026 07:00:00 GMT")
        clock.offset = 500
        assert clock.now() == NOW + 500
        machine.shift(-3600)
        assert clock.now() == NOW + 500
        assert clock.offset == 4100


def test_credentials_end_though_the_clock_was_set_back(elapsed: list[float]) -> None:
    """By a clock that has learnt nothing, too."""
    calls: list[int] = []

    def fetch() -> Credentials:
        calls.append(1)
        return Credentials(f"AKID{len(calls)}", "k", "t", time.time() + 1000)

    with time_machine.travel(NOW, tick=False) as machine:
        provider = RefreshingCredentials(fetch, refresh_before=1)
        assert provider.get().secret_id == "AKID1"
        machine.shift(-(10**6))
        elapsed[0] += 998
        assert provider.get().secret_id == "AKID1"
        elapsed[0] += 2
        assert provider.get().secret_id == "AKID2"
        machine.shift(10**6)
        assert provider.get().secret_id == "AKID3"


def test_small_steps_do_not_add_up(elapsed: list[float]) -> None:
    with time_machine.travel(NOW, tick=False) as machine:
        clock = Clock()
        clock.learn("Wed, 25 Nov 2026 07:00:00 GMT")
        for _ in range(50):
            elapsed[0] += 1
            machine.shift(1.9)
            clock.now()
        assert clock.now() == pytest.approx(NOW + 50, abs=0.001)


def test_two_threads_see_one_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is held between reading the clock and writing what it has found."""
    with time_machine.travel(NOW, tick=False) as machine:
        clock = Clock()
        clock.learn("Wed, 25 Nov 2026 07:00:00 GMT")
        elapsed = clocks.elapsed_seconds

        def held() -> float:
            if len(calls) == 1:
                machine.shift(-5000)
                monkeypatch.setattr(clocks, "elapsed_seconds", elapsed)
                clock.offset = 500
            calls.append(1)
            return elapsed()

        calls: list[int] = []
        monkeypatch.setattr(clocks, "elapsed_seconds", held)
        clock.now()
        assert clock.offset == 500  # what the other thread has set is kept
