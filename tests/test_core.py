"""The core: percent-encoding, HMAC-SHA1, the page's worked examples with every intermediate value."""

from __future__ import annotations

import array
import contextlib
import hashlib
import hmac
import itertools
import json
import pickle
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import cryptography_vectors
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cossign import Credentials, ParameterError, Signer, _arrow, _core, _verify
from cossign.batch._rows import decode_column, records_end
from cossign.engine import chosen_engine
from tests import reference
from tests.conftest import BUCKET, REGION

GOLDEN = Path(__file__).parent / "golden"
DOCUMENTED = json.loads((GOLDEN / "documented.json").read_text("utf-8"))


# --- Percent-encoding


def test_every_byte_is_encoded_as_the_page_says() -> None:
    every = bytes(range(256))
    assert _core.encode_component(every) == quote(every, safe="-_.~").encode()
    assert _core.encode_path(every) == quote(every, safe="-_.~/").encode()


@given(st.binary(max_size=300))
def test_encoder_is_quote(data: bytes) -> None:
    assert _core.encode_component(data) == quote(data, safe="-_.~").encode()
    assert _core.encode_path(data) == quote(data, safe="-_.~/").encode()


# --- Canonicalisation


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
        max_size=6,
    )
)
def test_canonical_is_the_reference(mapping: dict[str, str]) -> None:
    names, signed, _ = _core.canonical(mapping, "query")
    assert (names.decode(), b"".join(signed).decode()) == reference.canonical(mapping.items())


def test_sorting_is_by_the_encoded_lower_case_name() -> None:
    names, signed, cased = _core.canonical({"a0b": "1", "A:b": "2", "Z": "3"}, "query")
    assert names == b"a%3ab;a0b;z"
    assert signed == [b"a%3ab=2&a0b=1&z=3"]
    assert cased == [b"A%3Ab=2&a0b=1&Z=3"]


def test_names_equal_in_lower_case_are_both_kept_in_order() -> None:
    assert _core.canonical({"prefix": "2", "Prefix": "1"}, "query")[1] == [b"prefix=2&prefix=1"]
    assert _core.canonical({"Prefix": "1", "prefix": "2"}, "query")[1] == [b"prefix=1&prefix=2"]


@pytest.mark.parametrize(
    "value, text",
    [(None, b""), (True, b"true"), (False, b"false"), (7, b"7"), (-(10**20), b"-100000000000000000000"), (0.1, b"0.1"), (1.0, b"1"), (1e21, b"1e%2B21"), (123456789012345680000.0, b"123456789012345680000"), (1.5e-7, b"1.5e-7"), (1e-6, b"0.000001"), (-0.0, b"0"), (-2.5, b"-2.5"), (float("nan"), b"NaN"), (float("inf"), b"Infinity"), (5e-324, b"5e-324")],
)  # fmt: skip
def test_values_are_text_as_javascript_makes_it(value: Any, text: bytes) -> None:
    assert _core.canonical({"a": value}, "query")[1] == [b"a=" + text]


# --- HMAC-SHA1 against the published vectors


def test_rfc_2202() -> None:
    text = (Path(cryptography_vectors.__path__[0]) / "HMAC" / "rfc-2202-sha1.txt").read_text("utf-8")
    text = re.sub("(?m)^#.*\n", "", text)
    cases = re.findall(r"Key = (\S+)\s+Msg = (\S+)\s+MD = (\S+)", text)
    assert len(cases) == 7
    for key, message, digest in cases:
        assert _core.hmac_sha1(bytes.fromhex(key), bytes.fromhex(message)).hex() == digest


def test_wycheproof() -> None:
    groups = json.loads((GOLDEN / "wycheproof_hmac_sha1_test.json").read_text("utf-8"))["testGroups"]
    count = 0
    for group in groups:
        for case in group["tests"]:
            tag = _core.hmac_sha1(bytes.fromhex(case["key"]), bytes.fromhex(case["msg"]))[: group["tagSize"] // 8].hex()
            assert (tag == case["tag"]) == (case["result"] == "valid"), case
            count += 1
    assert count == 170


@pytest.mark.parametrize("name", ["SHA1ShortMsg.rsp", "SHA1LongMsg.rsp"])
def test_nist_cavp_sha1_under_stringtosign(name: str) -> None:
    """The messages of NIST's CAVP as keys: what StringToSign holds is CAVP's digest of the same bytes."""
    text = (Path(cryptography_vectors.__path__[0]) / "hashes" / "SHA1" / name).read_text("utf-8")
    cases = re.findall(r"Len = (\d+)\s+Msg = (\S+)\s+MD = (\S+)", text)
    assert len(cases) >= 60
    for length, message, digest in cases:
        data = bytes.fromhex(message)[: int(length) // 8]
        assert hashlib.sha1(data).hexdigest() == digest
        # RFC 2104 by hand, from CAVP's own hash, for keys shorter and longer than a block.
        key = data.ljust(64, b"\0") if len(data) <= 64 else bytes.fromhex(digest).ljust(64, b"\0")
        inner = hashlib.sha1(bytes(byte ^ 0x36 for byte in key) + data).digest()
        outer = hashlib.sha1(bytes(byte ^ 0x5C for byte in key) + inner).digest()
        assert _core.hmac_sha1(data, data) == outer


# --- Page 7778


@pytest.mark.parametrize("case", DOCUMENTED, ids=lambda case: case["name"])
def test_worked_examples(case: dict[str, Any]) -> None:
    values = reference.signed(case["secret_key"], case["method"], case["path"], case["query"].items(), case["headers"].items(), case["key_time"])  # fmt: skip
    for name in ("sign_key", "header_list", "url_param_list", "string_to_sign", "signature"):
        assert values[name] == case[name]
    start, end = map(int, case["key_time"].split(";"))
    signer = Signer(Credentials(case["secret_id"], case["secret_key"]), bucket=BUCKET, region=REGION)
    made = signer.authorization(
        case["method"], case["path"][1:], query=case["query"], headers=case["headers"], key_time=(start, end)
    )
    assert made == reference.authorization(case["secret_id"], case["key_time"], case)
    assert _core.hmac_sha1(case["secret_key"].encode(), case["key_time"].encode()).hex() == case["sign_key"]


@pytest.mark.parametrize("case", DOCUMENTED, ids=lambda case: case["name"])
def test_worked_examples_verify_with_their_intermediate_values(
    case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    start, end = map(int, case["key_time"].split(";"))
    monkeypatch.setattr("time.time", lambda: start + 1.0)
    signer = Signer(Credentials(case["secret_id"], case["secret_key"]), bucket=BUCKET, region=REGION)
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in case["query"].items())
    target = quote(case["path"]) + ("?" + query if query else "")
    headers = {**case["headers"], "Authorization": reference.authorization(case["secret_id"], case["key_time"], case)}
    verified = signer.verify(target, method=case["method"], headers=headers)
    assert verified.key == "exampleobject(腾讯云)"
    assert verified.key_time == (start, end)
    assert verified.string_to_sign == case["string_to_sign"]
    assert ";".join(verified.header_list) == case["header_list"]
    assert ";".join(verified.url_param_list) == case["url_param_list"]
    assert verified.unsigned_params == ()


# --- Secrets


def test_secrets_do_not_pickle_or_print() -> None:
    secret = _core.Secret("hidden-key")
    key = secret.sign_key("1;2")
    for each in (secret, key, _core.Template([], [b"x"], None, 0, "key", chosen_engine("auto"))):
        assert "hidden" not in repr(each)
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(each)
    assert secret.reveal() == "hidden-key"


HOLDER = """
import ctypes, gc, os, sys
size = int(sys.argv[1])
received = bytearray(size)
os.readv(0, [received])
key = received.decode("ascii")
received[:] = bytes(size)
from cossign import Credentials, Signer
credentials = Credentials("AKIDEXAMPLE", key)
ctypes.memset(id(key) + sys.getsizeof(key) - size - 1, 0, size)  # the caller's own text
del key
signer = Signer(credentials, bucket="b-1250000000", region="ap-beijing")
signer.verify(signer.presign("a"))
signer.presign_many(["a"], key_time=(1, 2))
signer.post_policy("a")
print("holds it", flush=True)
sys.stdin.readline()
del signer, credentials
gc.collect()
print("has dropped it", flush=True)
sys.stdin.readline()
"""


def memory_of(pid: int) -> Iterator[bytes]:
    """What a process may write to, piece by piece."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            addresses, rights, *_ = line.split()
            first, end = (int(address, 16) for address in addresses.split("-"))
            if rights.startswith("rw"):
                memory.seek(first)
                with contextlib.suppress(OSError):  # the kernel's own pages
                    yield memory.read(end - first)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/PID/mem")
@pytest.mark.parametrize("size", [32, 64, 65, 300, 60_000])  # HMAC hashes a key of more than 64 bytes first
@pytest.mark.any_engine
def test_secret_keys_are_wiped(size: int) -> None:
    source = random.Random(size)
    letters = b"abcdefghijklmnopqrstuvwxyz"
    parts = [b"~!~" + bytes(source.choices(letters, k=13)) for _ in range(size // 16)]
    key = b"".join(parts).ljust(size, b"a")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(size)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(key)
        process.stdin.flush()
        for expected in (b"holds it\n", b"has dropped it\n"):
            assert process.stdout.readline() == expected
            found = [part for piece in memory_of(process.pid) for part in re.findall(rb"~!~[a-z]{13}", piece)]
            assert found == (parts if expected == b"holds it\n" else [])  # in one place, and in none
            process.stdin.write(b"\n")
            process.stdin.flush()


def test_sign_keys_are_remembered_and_bounded() -> None:
    secret = _core.Secret("key")
    first = secret.sign_key("1;2")
    assert secret.sign_key("1;2") is first
    others = [secret.sign_key(f"1;{end}") for end in range(1000)]
    newest_first = reversed(list(enumerate(others)))
    remembered = list(itertools.takewhile(lambda item: secret.sign_key(f"1;{item[0]}") is item[1], newest_first))
    assert 1 <= len(remembered) <= 64
    assert secret.sign_key("1;2") is not first  # forgotten in the meantime, and made again
    assert secret.sign_key("1;2").sign(b"a") == first.sign(b"a")


@pytest.mark.parametrize("size", [*range(36), 74, 80, 150, 400, 5000])
def test_a_sign_time_that_the_engines_have_no_room_for_is_refused(size: int) -> None:
    secret = _core.Secret("key")
    for times in (("1" * size,), ("1;2", "1" * size), ("1" * size, "1;2")):
        signed = times[-1]
        if len(signed) > 34:
            with pytest.raises(ParameterError, match="key_time must be"):
                secret.sign_key(*times)
            continue
        found = _core.signatures(chosen_engine("auto"), secret.sign_key(*times), [b"a"])
        made = hmac.new(b"key", times[0].encode(), "sha1").hexdigest()
        string = f"sha1\n{signed or times[0]}\n{hashlib.sha1(b'a').hexdigest()}\n"
        assert found == [hmac.new(made.encode(), string.encode(), "sha1").hexdigest().encode()]


def test_what_is_given_to_the_core_is_checked() -> None:
    signer = Signer(Credentials("AKID", "key"), bucket="b-1250000000", region="ap-beijing")
    engine, key = chosen_engine("auto"), _core.Secret("key").sign_key("1;2")
    for index in (-7, -1, 1024, 2**62):
        with pytest.raises(ValueError, match="has no column"):
            _core.Column(index)
    with pytest.raises(ParameterError, match="query has a column"):
        signer.presign("a", query={"x": _core.Column(0)})
    with pytest.raises(ValueError, match="columns"):
        signer.presign_many(["a"], query={"x": _core.Column(0)})
    with pytest.raises(ValueError, match="columns"):
        signer.presign_arrow(_arrow.Lines([b"a"]), query={"x": _core.Column(3)})
    for pieces in (([_core.SIGNATURE], []), ([-3], []), ([], [2**40]), ([b"a", -2], [b"b"])):
        with pytest.raises(ValueError, match="has no piece"):
            _core.Template(*pieces, key, 0, "key", engine)
    for chunk in (0, 1, 4095, 1 << 31):
        with pytest.raises(ValueError, match="a chunk has"):
            _arrow.Memory(chunk=chunk)
    for call, values in (
        (_core.signatures, (None, key, [])), (_core.signatures, (engine, None, [])),
        (_core.signatures, (engine, key, None)), (_arrow.SigningStream, (None, [])), (records_end, (None,)),
        (_verify.sent_host, (None,)), (_arrow.sign_ahead, (None,)), (_arrow.Share, ([1], 1, False)),
    ):  # fmt: skip
        with pytest.raises(TypeError):
            call(*values)


def test_templates_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="SignKey"):
        _core.Template([b"a"], [_core.SIGNATURE], None, 0, "key", chosen_engine("auto"))
    with pytest.raises(ValueError, match="columns"):
        _core.sign_many(_core.Template([], [0], None, 0, "key", chosen_engine("auto")), ["a"], (), (), None)


@given(
    st.lists(st.binary(max_size=12) | st.text("%2Ff0a", max_size=12).map(str.encode), max_size=20), st.integers(0, 5)
)
def test_decode_column(texts: list[bytes], before: int) -> None:
    """As urllib decodes each."""
    offsets = array.array("i", itertools.accumulate(map(len, texts), initial=before))
    data, places = decode_column(b"x" * before + b"".join(texts), offsets)
    ends = memoryview(places).cast("i")
    assert [data[ends[row] : ends[row + 1]] for row in range(len(texts))] == [unquote_to_bytes(text) for text in texts]


def test_decode_column_knows_every_byte() -> None:
    for form in ("%%%02x", "%%%02X"):
        text = "".join(form % byte for byte in range(256)).encode()
        assert decode_column(text, array.array("i", [0, len(text)]))[0] == bytes(range(256))


@pytest.mark.parametrize("offsets", [[], [-1, 2], [0, 9], [3, 1, 6], [0, 7, 6], [5, 2]])
def test_decode_column_stays_in_its_data(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="the offsets"):
        decode_column(b"a%2Fbc", array.array("i", offsets))
