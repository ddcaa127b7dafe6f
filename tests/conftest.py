"""What many tests share: the page's example credentials, a signer with them, and how the tests are run."""

from __future__ import annotations

import collections
import functools
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

from cossign import COS, Credentials, Signer, engines, sdk
from cossign.engine import chosen_engine

SECRET_ID = "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q"
SECRET_KEY = "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz"
BUCKET = "examplebucket-1250000000"
REGION = "ap-beijing"
ENGINES = (  # of this kind of machine; its CPU may lack some
    *(("armv8", "neon") if platform.machine() in ("aarch64", "arm64") else ("avx512", "avx2", "shani", "sse2")),
    "portable",
    "hashlib",
)
HOST = f"{BUCKET}.cos.{REGION}.myqcloud.com"

# --- How the tests are run --------------------------------------------------------------------------------------------

# No test fails because its machine is slow. `make test` draws the same examples every time, `make test-long` new ones.
hypothesis.settings.register_profile(
    "same", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("new", hypothesis.settings.get_profile("same"), derandomize=False)
hypothesis.settings.load_profile("same")  # unless --hypothesis-profile names another one


# Their tests share what is expensive to make: one process runs all of such a file. The longest comes first.
TOGETHER = [
    f"tests/{name}.py"
    for name in (
        "integrations/test_spark", "e2e/test_package", "integrations/test_ray", "oracles/test_javascript", "test_sourcecode",
        "gateway/test_bulk", "e2e/test_bench", "e2e/test_nginx", "e2e/test_site",
    )
]  # fmt: skip


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def pytest_configure() -> None:
    """Credentials, profiles and proxies of the developer's machine change no test. Servers that tests start keep theirs."""
    for name in [name for name in os.environ if name.startswith(("COS_", "TENCENTCLOUD_", "TCCLI_", "TKE_"))]:
        del os.environ[name]
    if any(name.lower().endswith("_proxy") for name in os.environ):
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,localhost"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(TOGETHER)}
    items.sort(key=lambda item: places.get(file_of(item.nodeid), len(places)))


@pytest.hookimpl(optionalhook=True)  # where pytest-xdist is installed
def pytest_xdist_auto_num_workers() -> int:
    """A process more than there are cores, as a third of the time goes to waiting; at most 8, for the memory's sake."""
    return min((os.cpu_count() or 1) + 1, 8)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return file_of(nodeid) if file_of(nodeid) in TOGETHER else nodeid

    return Scheduling(config, log)


def scaled(name: str, short: int, long: int) -> pytest.MarkDecorator:
    """Give a test's parameter one value in `make test`, and another one in `make test-long`."""
    return pytest.mark.parametrize(name, [short, pytest.param(long, marks=pytest.mark.long)])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was left out on this machine, and how many tests that concerns."""
    reasons = collections.Counter(
        report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else str(report.longrepr)
        for report in terminalreporter.getreports("skipped")
    )
    if reasons:
        terminalreporter.section("left out on this machine")
        for reason, count in reasons.most_common():
            terminalreporter.line(f"{count:5} {'test' if count == 1 else 'tests'}: {reason}")


# --- What they share --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def credentials() -> Credentials:
    return Credentials(SECRET_ID, SECRET_KEY)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what has the fixture `engine` by each of them; once, where no engine changes the result."""
    if "engine" in metafunc.fixturenames:
        once = metafunc.definition.get_closest_marker("any_engine") is not None
        metafunc.parametrize("engine", ["auto"] if once else ENGINES, indirect=True, scope="module")


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """An engine, as COSSIGN_ENGINE chooses it."""
    if request.param not in ("auto", *engines()):
        pytest.skip(f"this CPU has no engine {request.param}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COSSIGN_ENGINE", request.param)
        patch.setattr(sdk, "_engine", functools.cache(chosen_engine))
        patch.setattr(sdk, "_last_call", sdk._LastCall())
        yield request.param


def peak_memory(command: list[str]) -> int:
    """Run `cossign` with these words, and tell the most memory that it held, in MiB."""
    if sys.platform != "linux":
        pytest.skip("only Linux tells a process's most memory")
    code = (  # not ru_maxrss, which begins with that of this process
        f"from cossign.cli import main; assert main({command!r}) == 0; "
        "print([line.split()[1] for line in open('/proc/self/status') if 'VmHWM' in line][0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return int(done.stdout) // 1024


@pytest.fixture
def signer(credentials: Credentials) -> Signer:
    return Signer(credentials, bucket=BUCKET, region=REGION)


@pytest.fixture
def cos() -> COS:
    return COS({"SecretId": SECRET_ID, "SecretKey": SECRET_KEY})


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Credentials in the environment, and a home without the files of other tools."""
    home = str(tmp_path_factory.mktemp("home"))
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, home)
    for name in ("COS_BUCKET", "COS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COS_SECRET_ID", SECRET_ID)
    monkeypatch.setenv("COS_SECRET_KEY", SECRET_KEY)
    monkeypatch.delenv("COS_SESSION_TOKEN", raising=False)
