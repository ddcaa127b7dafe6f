"""The signature as page 7778 ("Request Signature") words it: slow, obvious, and independent of cossign."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote


def encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def canonical(pairs: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """(UrlParamList, HttpParameters), or (HeaderList, HttpHeaders)."""
    entries = sorted(((encoded(name).lower(), encoded(value)) for name, value in pairs), key=lambda entry: entry[0])
    return ";".join(name for name, _ in entries), "&".join(f"{name}={value}" for name, value in entries)


def signed(
    secret_key: str,
    method: str,
    path: str,
    query: Iterable[tuple[str, str]],
    headers: Iterable[tuple[str, str]],
    key_time: str,
) -> dict[str, str]:
    """Every intermediate value of a signature."""
    sign_key = hmac.new(secret_key.encode(), key_time.encode(), hashlib.sha1).hexdigest()
    url_param_list, http_parameters = canonical(query)
    header_list, http_headers = canonical(headers)
    http_string = f"{method.lower()}\n{path}\n{http_parameters}\n{http_headers}\n"
    string_to_sign = f"sha1\n{key_time}\n{hashlib.sha1(http_string.encode()).hexdigest()}\n"
    signature = hmac.new(sign_key.encode(), string_to_sign.encode(), hashlib.sha1).hexdigest()
    return {
        "sign_key": sign_key,
        "url_param_list": url_param_list,
        "header_list": header_list,
        "http_string": http_string,
        "string_to_sign": string_to_sign,
        "signature": signature,
    }


def authorization(secret_id: str, key_time: str, values: Mapping[str, Any]) -> str:
    return (
        f"q-sign-algorithm=sha1&q-ak={secret_id}&q-sign-time={key_time}&q-key-time={key_time}"
        f"&q-header-list={values['header_list']}&q-url-param-list={values['url_param_list']}"
        f"&q-signature={values['signature']}"
    )
