"""cossign's answer to a generated request, and the reference's where the SDKs contradict themselves."""

from __future__ import annotations

import re
from typing import Any

from cossign import COS, ParameterError
from tests.oracles.generated import Request
from tests.reference import encoded
from tests.reference import signed as signed_values


def answer(asked: Request, monkeypatch: Any) -> Any:
    """What sdk.js would answer, from cossign."""
    monkeypatch.setattr("time.time", lambda: asked["now"] / 1000)
    try:
        if asked["call"] == "getAuthorization":
            return COS.getAuthorization(asked["parameters"])
        cos = COS(asked["options"])
        if asked["call"] == "getAuth":
            return cos.getAuth(asked["parameters"])
        urls: list[Any] = []
        returned = cos.getObjectUrl(asked["parameters"], lambda err, data: urls.append(err or data.Url))
        assert returned == urls[0] or isinstance(urls[0], ParameterError)
        return urls[0] if isinstance(urls[0], str) else {"error": str(urls[0])}
    except ParameterError as error:
        return {"error": str(error)}


def reference_signature(asked: Request, answered: str) -> str | None:
    """The reference's signature of the request that `answered` says it signs; None where values are not all text."""
    parameters = asked["parameters"]
    query, headers = dict(parameters.get("Query") or {}), dict(parameters.get("Headers") or {})
    if not all(isinstance(value, str) for value in (*query.values(), *headers.values())):
        return None
    fields = dict(re.findall("(q-[a-z-]+)=([^&]*)", answered))
    signed = [
        (name, value) for name, value in headers.items() if encoded(name).lower() in fields["q-header-list"].split(";")
    ]
    if asked["call"] == "getObjectUrl":
        host, path = answered.partition("?")[0].partition("://")[2].split("/", 1)
        path = "/" + parameters["Key"].removeprefix("/")
    else:
        host = f"{parameters['Bucket']}.cos.{parameters['Region']}.myqcloud.com" if "Bucket" in parameters else ""
        path = parameters.get("Pathname") or parameters.get("Key", "")
        if asked["call"] == "getAuth":
            path = path.removeprefix("/")
        if not path.startswith("/") or (parameters.get("UseRawKey") and not parameters.get("Pathname")):
            path = path if parameters.get("UseRawKey") and parameters.get("Pathname") else "/" + path
    forced = host and parameters.get("ForceSignHost", True) and asked["options"].get("ForceSignHost", True)
    if forced and not any(name.lower() == "host" and value for name, value in signed):
        signed = [pair for pair in signed if pair[0].lower() != "host"] + [("Host", host)]
    secret_key = asked["options"].get("SecretKey") or parameters["SecretKey"]
    method = parameters.get("Method") or "get"
    return signed_values(secret_key, method, path, query.items(), signed, fields["q-key-time"])["signature"]
