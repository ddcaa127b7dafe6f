"""Seeded random requests for the SDKs, and the list of what the SDKs do otherwise than the specification.

A request is what sdk.js reads: {"call", "now" (milliseconds), "options", "parameters"}, all of it JSON.
"""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import quote

Request = dict[str, Any]

ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "ABCxyz019-_.~",
    " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    "腾讯云对象存储",
    "éßÀÿøñİıſK",
    "😀🏳️‍🌈𝒳",
    "\t\n\r\x00\x01\x1f\x7f\u2028",
)
NAMES = [
    "prefix",
    "Prefix",
    "PREFIX",
    "delimiter",
    "marker",
    "max-keys",
    "response-content-type",
    "response-content-disposition",
    "Response-Cache-Control",
    "imageMogr2/thumbnail/!50p",
    "a:b",
    "a0b",
    "a/b",
    "a-b",
    "A_b",
    "ci-process",
    "uploadId",
    "partNumber",
    "1",
    "2",
    "10",
    "x",
    "y",
]
HEADER_NAMES = [
    "Content-Type",
    "content-type",
    "Content-MD5",
    "Cache-Control",
    "Content-Length",
    "Content-Disposition",
    "Expires",
    "Range",
    "Origin",
    "If-Match",
    "Pic-Operations",
    "x-cos-acl",
    "X-Cos-Meta-a",
    "x-cos-meta-b",
    "X-CI-something",
    "not-x-cos-signed",
    "User-Agent",
    "Date",
    "x-cos-storage-class",
    "Expect",
    "Transfer-Encoding",
    "Accept",
    "Referer",
]
DOMAINS = (
    "{Bucket}.cos.{Region}.myqcloud.com",
    "http://{Bucket}.cos.{Region}.myqcloud.com/",
    "https://{{Bucket}}-{{AppId}}.{{Region}}.example.com",
    "{bucketname}.{APPID}.{region}.example.com",
    "cdn.example.com",
    "http://cdn.example.com:8080",
    "https://cdn.example.com/base",
    "{unknown}cdn.example.com",
    "{{unknown}}x{Bucket}.example.com",
)
REGIONS = [
    "ap-beijing",
    "ap-guangzhou",
    "eu-frankfurt",
    "na-siliconvalley",
    "cn-south",
    "cn-south-2",
    "cn-north",
    "cn-east",
    "cn-southwest",
    "sg",
]


def text(rng: random.Random, most: int = 24) -> str:
    alphabets = rng.sample(ALPHABETS, rng.choice((1, 1, 1, 2, 3)))
    return "".join(rng.choice(rng.choice(alphabets)) for _ in range(rng.randint(1, most)))


def value(rng: random.Random) -> Any:
    kind = rng.random()
    if kind < 0.6:
        return text(rng)
    if kind < 0.7:
        return ""
    if kind < 0.78:
        return rng.randint(-(10**6), 10**12)
    if kind < 0.86:
        return rng.choice(
            (0.5, 1.0, -2.25, 1e21, 1.5e-7, 123456789.125, 1e-6, -0.0, rng.random(), rng.uniform(-1e9, 1e9))
        )
    if kind < 0.93:
        return rng.choice((True, False))
    return None


def key(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.3:
        return f"photos/2026/{rng.randint(1, 12):02d}/img_{rng.randint(0, 10**8):08d}.jpg"
    start = rng.choice(("", "", "", "/", "//", "a/", "../", "./"))
    return start + text(rng, 60)


def query(rng: random.Random) -> dict[str, Any]:
    names = [
        rng.choice(NAMES) if rng.random() < 0.8 else text(rng, 8) for _ in range(rng.choice((0, 0, 1, 1, 2, 3, 5)))
    ]
    return {name: value(rng) for name in names}


def headers(rng: random.Random) -> dict[str, Any]:
    def plain() -> Any:
        made = value(rng)
        return "".join(each for each in made if each not in "\r\n\0") if isinstance(made, str) else made

    names = [rng.choice(HEADER_NAMES) for _ in range(rng.choice((0, 0, 1, 2, 4)))]
    if rng.random() < 0.1:
        names.append("x-cos-meta-" + text(rng, 5).translate(dict.fromkeys(map(ord, "\r\n\0"))))
    made = {name: plain() for name in names}
    if rng.random() < 0.15:
        made[rng.choice(("Host", "host", "HOST"))] = rng.choice(("examplebucket-1250000000.example.com", "h", ""))
    return made


def request(rng: random.Random) -> Request:
    now = rng.randint(1_600_000_000_000, 1_900_000_000_000)
    secrets = {
        "SecretId": "AKID" + "".join(rng.choice("abcXYZ0189") for _ in range(32)),
        "SecretKey": "".join(rng.choice("abcXYZ0189") for _ in range(rng.choice((1, 20, 32, 32, 64, 65, 100)))),
    }
    parameters: dict[str, Any] = {}
    options: dict[str, Any] = {}
    if rng.random() < 0.8:
        parameters["Method"] = rng.choice(("get", "GET", "Put", "POST", "delete", "HEAD", "options"))
    if rng.random() < 0.7:
        parameters["Query"] = query(rng)
    if rng.random() < 0.5:
        parameters["Headers"] = headers(rng)
    if rng.random() < 0.7:
        parameters["Expires"] = rng.choice((None, 0, "", 1, 60, 900, 3600.0, "60", " 7200 ", "1e3", 604800, 31536000))
    bucket = rng.choice(("examplebucket-1250000000", "a-1", "my-bucket-7-12345", "0-0"))
    where = {"Bucket": bucket, "Region": rng.choice(REGIONS)}
    call = rng.choice(("getAuthorization", "getAuth", "getObjectUrl", "getObjectUrl"))
    if rng.random() < 0.2:
        options["SystemClockOffset"] = rng.choice((-3_600_000, 1, 499, 500, 12345, 86_400_000))
    if call == "getAuthorization":
        parameters |= secrets | options
        if rng.random() < 0.9:
            parameters["Key"] = rng.choice((key(rng), key(rng), key(rng), ""))
        if rng.random() < 0.4:
            parameters |= where
        if rng.random() < 0.2:
            parameters["ForceSignHost"] = rng.choice((True, False))
        if rng.random() < 0.15:
            parameters["UseRawKey"] = rng.choice((True, False))
        if rng.random() < 0.15:
            parameters["Pathname"] = key(rng)
        if rng.random() < 0.2:
            start = now // 1000
            parameters["KeyTime"] = f"{start};{start + rng.randint(1, 10**6)}"
        return {"call": call, "now": now, "options": {}, "parameters": parameters}
    options |= secrets
    parameters["Key"] = key(rng)
    if call == "getAuth":
        if rng.random() < 0.4:
            parameters |= where
        return {"call": call, "now": now, "options": options, "parameters": parameters}
    parameters |= where
    if rng.random() < 0.3:
        options[rng.choice(("SecurityToken", "XCosSecurityToken"))] = "token+/=_-" * 3
    for holder in (options, parameters):
        if rng.random() < 0.2:
            holder["Domain"] = rng.choice(DOMAINS)
        if rng.random() < 0.15:
            holder["UseAccelerate"] = rng.choice((True, False))
        if rng.random() < 0.15:
            holder["ForceSignHost"] = rng.choice((True, False))
        if rng.random() < 0.1:
            holder["Protocol"] = rng.choice(("http:", "https:", "http"))
    if rng.random() < 0.2:
        parameters["Sign"] = rng.choice((True, False))
    if rng.random() < 0.15:
        parameters["QueryString"] = rng.choice(("imageMogr2/thumbnail/!50p", "a=b&c", "x=%20y"))
    if rng.random() < 0.15:
        options["StartTime"] = now // 1000 - rng.randint(0, 1000)
        if rng.random() < 0.7:
            options["ExpiredTime"] = now // 1000 + rng.randint(1, 10**6)
    return {"call": call, "now": now, "options": options, "parameters": parameters}


def requests(seed: int, count: int) -> list[Request]:
    rng = random.Random(seed)
    return [request(rng) for _ in range(count)]


# --- Where an SDK contradicts the specification, or itself ------------------------------------------------------------

CONTRADICTIONS = {
    "sort": (
        "all three sort HttpParameters and HttpHeaders by the raw lower-cased name, and the lists by the encoded one; "
        "the page, and the Python and Go SDKs, sort both by the encoded one"
    ),
    "HOST": (
        "all three overlook a Host spelled otherwise than 'Host' or 'host', or an empty 'host', when they add Host in "
        "getAuthorization, and sign it twice"
    ),
    "js-content-type": "cos-js-sdk-v5 never signs Content-Type (browsers change it)",
    "js-expires": "cos-js-sdk-v5 drops the header Expires in getObjectUrl",
    "node-headers": "cos-nodejs-sdk-v5 signs Content-Type and Cache-Control in getObjectUrl",
    "node-start-time": "cos-nodejs-sdk-v5 ignores the options StartTime and ExpiredTime in getObjectUrl",
    "protocol": "cos-js-sdk-v5 and cos-nodejs-sdk-v5 honour Protocol; the Mini Program SDK writes https always",
}


def _utf16(name: str) -> bytes:
    return name.lower().encode("utf-16-be")


def _disordered(names: list[str]) -> bool:
    return sorted(names, key=_utf16) != sorted(names, key=lambda name: quote(name, safe="-_.~").lower())


def contradictions(asked: Request, sdk: str) -> set[str]:
    """Which of CONTRADICTIONS make this SDK's answer another than the specification's."""
    found = set()
    parameters, options = asked["parameters"], asked["options"]
    given = parameters.get("Headers") or {}
    lower = {name.lower() for name in given}
    url = asked["call"] == "getObjectUrl"
    if url and parameters.get("Sign") is False:
        return {"protocol"} if sdk != "wx" and _protocol(asked) else set()
    if _disordered(list(parameters.get("Query") or {})) or _disordered(list(given)):
        found.add("sort")
    odd_host = any(name.lower() == "host" and (name == "HOST" or not held) for name, held in given.items())
    if odd_host and not url and parameters.get("Bucket") and parameters.get("ForceSignHost") is not False:
        found.add("HOST")
    if sdk == "js" and not url and "content-type" in lower:
        found.add("js-content-type")
    if sdk == "js" and url and "expires" in lower:
        found.add("js-expires")
    if sdk == "node" and url and lower & {"content-type", "cache-control"}:
        found.add("node-headers")
    if sdk == "node" and url and options.get("StartTime"):
        found.add("node-start-time")
    if sdk != "wx" and url and _protocol(asked):
        found.add("protocol")
    return found


def _protocol(asked: Request) -> bool:
    """Whether Protocol asks for http, and no Domain says otherwise."""
    parameters, options = asked["parameters"], asked["options"]
    domain = parameters.get("Domain") or options.get("Domain") or ""
    asks = parameters.get("Protocol") or options.get("Protocol") or ""
    return asks.startswith("http:") or asks == "http" if "://" not in domain else False
