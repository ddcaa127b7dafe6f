"""Thousands of requests that try to get what the policy forbids, over real sockets, for each server."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import BUCKET, SECRET_ID, SECRET_KEY
from tests.gateway.attacks import Attack, all_attacks
from tests.gateway.judging import wrong
from tests.gateway.serving import POLICY, PROXY, SERVERS, Answer, Client, serving

SEED = 20261125
PAGE = Path(__file__).parent.parent.parent / "docs" / "security.md"


@pytest.mark.parametrize("server", SERVERS)
def test_no_request_gets_what_the_policy_forbids(server: str, tmp_path: Path) -> None:
    attacks = all_attacks(SEED)
    assert len(attacks) >= 5000
    found: list[tuple[Attack, Answer, str]] = []
    statuses: Counter[int] = Counter()
    with serving(tmp_path / "gateway.toml", POLICY, server) as served:
        clients = {False: Client(served.port), True: Client(served.port, PROXY)}
        for attack in attacks:
            answer = clients[attack.proxy].send(attack.data, attack.method)
            statuses[answer[0]] += 1
            if why := wrong(attack, answer):
                found.append((attack, answer, why))
            if attack.kind == "request smuggling":  # what follows on the connection must not be taken for an answer
                clients[attack.proxy].close()
        for client in clients.values():
            client.close()
        assert served.process.poll() is None
    for attack, answer, why in found[:20]:
        print(attack, answer, why, sep="\n  ", end="\n\n")
    assert not found, f"{len(found)} of {len(attacks)}"
    assert statuses[302] + statuses[204] > 20  # the good ones
    assert sum(statuses.values()) >= 5000


def test_every_class_of_attack_is_documented() -> None:
    page = PAGE.read_text().lower()
    kinds = {attack.kind for attack in all_attacks(SEED, 40)}
    assert len(kinds) >= 12
    assert [kind for kind in kinds if f"| {kind} |" not in page] == []


def test_the_judge_of_answers_finds_what_is_forbidden() -> None:
    """Answers that a careless gateway would give."""
    from cossign import Credentials, Signer
    from tests.gateway.attacks import asked, attack
    from tests.gateway.serving import ALICE

    signer = Signer(Credentials(SECRET_ID, SECRET_KEY), bucket=BUCKET, region="ap-beijing", expires=600, strict=False)
    tricky = attack("path tricks", "/img/alice/%2e%2e/bob/a", ALICE, "photos/alice/")

    def redirect(key: str, **options: object) -> Answer:
        return 302, {"location": signer.presign(key, **options)}, b""  # type: ignore[arg-type]

    assert wrong(tricky, redirect("photos/alice/a")) == ""
    assert "read as" in wrong(tricky, redirect("photos/bob/a"))
    assert "read as" in wrong(tricky, redirect("photos/alice/..;/bob/a"))
    assert "read as" in wrong(tricky, redirect("photos/alice/../bob/a"))
    assert "read as" in wrong(tricky, redirect("photos/alice/%2e%2e/bob/a"))
    assert "read as" in wrong(tricky, redirect("photos/alice/..\\bob"))
    assert "parameters" in wrong(tricky, redirect("photos/alice/a", query={"acl": ""}))
    assert "holds" in wrong(tricky, redirect("photos/alice/a", expires=601))
    assert "refuse" in wrong(tricky, (302, {"location": signer.presign("photos/alice/a")[:-1]}, b""))
    assert "leads to" in wrong(tricky, (302, {"location": "https://elsewhere/photos/alice/a"}, b""))
    sub = asked("path tricks", "/authorize", "GET", "/img/alice/%2e%2e/bob/a", ALICE, "photos/alice/")
    assert "read as" in wrong(sub, (204, {}, b""))
    assert "failed" in wrong(sub, (500, {}, b""))
    assert "granted" in wrong(sub._replace(prefix=None), (204, {}, b""))
    assert "injected" in wrong(sub, (403, {"x-injected": "1"}, b""))
    assert "refused" in wrong(sub._replace(good=True), (403, {}, b""))

    def signed(key: str, method: str = "GET", described: object = None, **options: object) -> str:
        value = signer.authorization(method, key, **options)  # type: ignore[arg-type]
        told = described or (method, key, {}, {})
        sdk = Attack("described requests", b"", prefix="photos/alice/", described=told)  # type: ignore[arg-type]
        return wrong(sdk, (200, {}, json.dumps({"Authorization": value}).encode()))

    assert signed("photos/alice/a") == ""
    assert "read as" in signed("photos/bob/a")
    assert "signs PUT" in signed("photos/alice/a", "PUT")
    assert "holds" in signed("photos/alice/a", expires=601)
    assert "signs host;x-cos-acl" in signed("photos/alice/a", headers={"x-cos-acl": "private"})
    assert "refuse" in signed("photos/bob/a", described=("GET", "photos/alice/a", {}, {}))
    assert "parameters" in signed(
        "photos/alice/a", described=("GET", "photos/alice/a", {"acl": ""}, {}), query={"acl": ""}
    )
    assert "leads to" in signed("photos/alice/a", described=("GET", "photos/alice/a", {}, {"Host": "other"}))
