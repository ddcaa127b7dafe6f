# cython: language_level=3
"""Signatures of requests: one or many judged as COS would, and what a client sends made.

A URL in the usual form is judged from its own text, in C, many at a time (native/url); any other form by
`Judge.examine`, which also finds the reason why a signature is refused.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.unicode cimport PyUnicode_AsUTF8String, PyUnicode_DecodeASCII
from libc.stdint cimport uint8_t
from libc.string cimport memset

from cossign._core cimport (
    BLOCK,
    SHARE,
    Engine,
    Secret,
    SignKey,
    checked_value,
    hash_rows,
    hold,
    in_threads,
    joined_pairs,
    names_size,
    pairs_size,
    key_text,
    percent_decode,
    percent_encode,
    put_bytes,
    put_frame,
    put_names,
    put_pairs,
    signatures,
    sort_by_name,
    text_of,
    value_bytes,
)
from cossign._native cimport (
    COMPONENT,
    FAULT_NONE,
    FRAME_SLACK,
    Q_FIELDS,
    SHA1_BLOCK,
    SHA1_HEX,
    TEXT_SLACK,
    Fitting,
    Presigned,
    Space,
    Target,
    Text,
    UrlPattern,
    equal_in_constant_time,
    http_bound,
    pattern_fits,
    pattern_lay_out,
    presigned_parse,
    put_decoded,
    presigned_lists,
    put_http_head,
    put_http_key,
    put_http_tail,
    q_names,
    sha1_blocks,
    sha1_pad,
    sha1_row,
    target_split,
    text_is,
    text_soon,
)

from hashlib import sha1
from hmac import compare_digest

from cossign.errors import (
    BadSignature,
    MalformedSignature,
    ParameterError,
    SignatureExpired,
    SignatureMismatch,
    SignatureNotYetValid,
    SignatureRefused,
    SignatureRevoked,
    UnknownSecretId,
)


@cython.auto_pickle(True)
cdef class Verified:
    """What a right signature says: who signed what, and for how long.

    Attributes:
        secret_id: q-ak.
        method: upper-case.
        key: the object's key: the path without its first slash, decoded.
        key_time: ``(start, end)``, Unix seconds: the time in which both q-sign-time and q-key-time hold.
        signature: q-signature, 40 hex digits. After it was sent, it is not a secret.
        header_list: the signed headers' names, encoded and lower-case as they are signed.
        url_param_list: the signed parameters' names, encoded and lower-case.
        unsigned_params: the names of the URL's parameters that the signature does not cover, decoded. Anybody may
            have added those.
        http_string: the HttpString.
        string_to_sign: the StringToSign.
    """

    cdef readonly str secret_id
    cdef readonly str method
    cdef readonly str key
    cdef readonly tuple key_time
    cdef readonly str signature
    cdef readonly tuple header_list
    cdef readonly tuple url_param_list
    cdef readonly tuple unsigned_params
    cdef bytes http
    cdef bytes sign_time

    @property
    def http_string(self):
        return as_text(self.http)

    @property
    def string_to_sign(self):
        return string_to_sign(self.http, self.sign_time)

    def __repr__(self):
        return f"Verified(secret_id={self.secret_id!r}, method={self.method!r}, key={self.key!r}, key_time={self.key_time!r})"


cdef str as_text(bytes data):
    """Bytes of a request as text; what is not UTF-8 as an escape."""
    return data.decode("utf-8", "backslashreplace")


cdef str string_to_sign(bytes http, bytes sign_time):
    return f"sha1\n{as_text(sign_time)}\n{sha1(http).hexdigest()}\n"


# The seven fields of a signature: their names as they are sent, and as text.
cdef dict Q_NAMES = {q_names[i].data[:q_names[i].size]: q_names[i].data[:q_names[i].size].decode() for i in range(Q_FIELDS)}


cdef tuple split_pair(bytes text):
    name, _, value = text.partition(b"=")
    return name, value

def sent_host(str url not None):
    """The Host header that HTTP clients send for a URL; "" if it names none."""
    cdef Target target
    cdef bytes data = PyUnicode_AsUTF8String(url)
    return target_host(&target).decode() if target_split(text_of(data), &target) else ""


cdef bytes target_host(const Target* target):
    """That Host: without a user's name, and without the scheme's own port."""
    host = target.host.data[:target.host.size].rpartition(b"@")[2]
    return host.removesuffix(b":443" if target.is_secure else b":80")


cdef list query_pairs(bytes query):
    """The (name, value) pairs of a URL's query, decoded."""
    cdef list pairs = []
    for part in query.split(b"&"):
        if part:
            name, value = split_pair(part)
            pairs.append((percent_decode(name, True), percent_decode(value, True)))
    return pairs


@cython.final
cdef class RequestSigner:
    """Makes the Authorization of requests as they go over the wire: of what a Judge will read there.

    Args:
        signed_name: a function that gives a header's name as it is signed, in bytes, or None if it is not signed.
        sign_host: whether Host is signed: that of a request's headers, or else its URL's.
        host: that of a request target without a Host among its headers, or None.
        secret_id: SecretId.
        sign_key: SignKey.
        engine: what signs.
    """

    cdef object signed_name
    cdef bint sign_host
    cdef bytes host
    cdef bytes head
    cdef SignKey sign_key
    cdef Engine engine

    def __init__(
        self, signed_name, bint sign_host, bytes host, str secret_id, SignKey sign_key not None, Engine engine not None
    ):
        self.signed_name = signed_name
        self.sign_host = sign_host
        self.host = host
        self.sign_key = sign_key
        self.engine = engine
        self.head = (
            f"q-sign-algorithm=sha1&q-ak={secret_id}&q-sign-time={sign_key.key_time}&q-key-time={sign_key.key_time}"
            "&q-header-list="
        ).encode()

    def authorization(self, str method not None, str url not None, headers):
        """The Authorization of one request.

        Args:
            method: the request's method.
            url: an absolute http(s) URL, or a request target, percent-encoded as it is sent; all its parameters are
                signed.
            headers: an iterable of the request's headers, (name, value) pairs of str or bytes.
        """
        cdef Target target
        cdef bytes data = checked_value(url, "url", None)
        if not target_split(text_of(data), &target):
            raise ParameterError("url", "must begin with https://, http:// or /")
        params, pairs = signed_params(&target), self.signed_headers(&target, headers)
        return self.text_of_request(PyUnicode_AsUTF8String(method.lower()), &target, params, pairs)

    cdef list signed_headers(self, const Target* target, headers):
        """The (encoded name, encoded value) of the headers that are signed, in their order; Host among them."""
        cdef bytes name, host
        cdef list pairs = []
        cdef bint has_host = False
        raw_name = None
        try:
            for raw_name, value in headers:
                name = self.signed_name(raw_name)
                if name is None:
                    continue
                if name == b"host":
                    if not self.sign_host:
                        continue
                    has_host = True
                if not isinstance(value, bytes):
                    value = value_bytes(value)
                pairs.append((name, percent_encode((<bytes>value).strip(b" \t"), COMPONENT)))
        except (TypeError, ValueError):
            where = "headers" if raw_name is None else f"headers[{raw_name!r}]"
            raise ParameterError(where, "must be a name and a value in str or bytes, without a lone surrogate") from None
        if self.sign_host and not has_host:
            host = target_host(target) or self.host
            if host is None:
                raise ParameterError("headers", "must have a Host, because the URL has no host")
            pairs.append((b"host", percent_encode(host, COMPONENT)))
        return sort_by_name(pairs)

    cdef str text_of_request(self, bytes lower, const Target* target, list params, list signed):
        """The Authorization of a request of a method, in lower case, to a path, with what is signed."""
        cdef sha1_row row
        cdef uint8_t* out
        cdef uint8_t* text
        cdef Py_ssize_t http_size = len(lower) + <Py_ssize_t>target.path.size + pairs_size(params) + pairs_size(signed)
        cdef Py_ssize_t size = len(self.head) + names_size(signed) + names_size(params) + len(PARAM_LIST) + len(SIGNATURE)
        cdef uint8_t* buffer = <uint8_t*>PyMem_RawMalloc(
            <size_t>(http_size + size) + 3 * SHA1_BLOCK + TEXT_SLACK + SHA1_HEX
        )
        if buffer == NULL:
            raise MemoryError
        try:
            out = put_http_head(buffer, text_of(lower))
            if target.path.size:
                out = put_decoded(out - 1, target.path, False)
            out[0] = c"\n"
            out = put_pairs(out + 1, params)
            out[0] = c"\n"
            out = put_pairs(out + 1, signed)
            out[0] = c"\n"
            row.http = buffer
            row.size = <size_t>(out + 1 - buffer)
            sha1_pad(buffer, row.size, 0)
            text = buffer + sha1_blocks(row.size) * SHA1_BLOCK
            out = put_names(put_bytes(text, self.head), signed)
            out = put_names(put_bytes(out, PARAM_LIST), params)
            row.hole = put_bytes(out, SIGNATURE)
            hash_rows(self.engine, self.sign_key, &row, 1)
            return PyUnicode_DecodeASCII(<const char*>text, row.hole + SHA1_HEX - text, NULL)
        finally:
            PyMem_RawFree(buffer)


cdef bytes PARAM_LIST = b"&q-url-param-list="
cdef bytes SIGNATURE = b"&q-signature="


cdef list signed_params(const Target* target):
    """The (encoded name, encoded value) of a target's parameters, in their order; refused, if one is a signature's."""
    cdef list params = []
    if target.query.size:
        for name, value in query_pairs(target.query.data[:target.query.size]):
            if name.lower() in (b"q-signature", b"sign"):
                raise ParameterError("url", "is presigned already: send it as it is, without this signature")
            if name:  # a list has no place for an empty name
                params.append((percent_encode(name, COMPONENT).lower(), percent_encode(value, COMPONENT)))
    return sort_by_name(params)


cdef dict authorization_fields(list pairs):
    """The seven q- fields out of (lower-case name, value) pairs; MalformedSignature if one is missing or doubled."""
    cdef dict fields = {}
    for name, value in pairs:
        field = Q_NAMES.get(name)
        if field is None:
            continue
        if field in fields:
            raise MalformedSignature(f"{field} is there twice")
        fields[field] = value
    for field in Q_NAMES.values():
        if field not in fields:
            raise MalformedSignature(f"{field} is missing")
    if fields["q-sign-algorithm"] != b"sha1":
        raise MalformedSignature("q-sign-algorithm must be sha1")
    return fields


cdef tuple read_key_time(bytes value, str field):
    """A KeyTime as (start, end)."""
    start, _, end = value.partition(b";")
    if not (start.isdigit() and end.isdigit() and len(start) <= 15 and len(end) <= 15):
        raise MalformedSignature(f"{field} must be '<start>;<end>' in Unix seconds")
    if int(start) > int(end):
        raise MalformedSignature(f"{field} ends before it begins")
    return int(start), int(end)


cdef tuple listed_pairs(bytes names, dict have, str what):
    """What a list signs: (its names sorted, HttpParameters or HttpHeaders).

    `have` maps encoded lower-case names to the encoded values in their order. A name stands in the list as it is
    signed (encoded) or decoded once more, as the SDKs' synchronous URLs leave it.
    """
    cdef list entries = []
    cdef dict counts = {}
    for name in names.lower().split(b";"):
        if not name:
            continue
        if name not in have:
            again = percent_encode(name, COMPONENT).lower()
            if again not in have:
                raise SignatureMismatch(f"the {what} {as_text(name)!r} is signed, but not in the request")
            name = again
        counts[name] = counts.get(name, 0) + 1
    for name in sorted(counts):
        values = have[name]
        if len(values) != counts[name]:
            raise SignatureMismatch(
                f"the {what} {as_text(name)!r} is signed {counts[name]} times, but {len(values)} times in the request"
            )
        entries += [(name, value) for value in values]
    return tuple([as_text(entry[0]) for entry in entries]), joined_pairs(entries)


cdef void gather(dict have, bytes name, bytes value):
    """Add a decoded name and value to what `listed_pairs` chooses from."""
    have.setdefault(percent_encode(name, COMPONENT).lower(), []).append(percent_encode(value, COMPONENT))


def check_time(tuple span not None, long long now, long long skew=0):
    """Whether a KeyTime, ``(start, end)``, holds now, to within `skew` seconds; if not, raise the BadSignature."""
    by = f" with {skew} s of allowance" if skew else ""
    if now < span[0] - skew:
        raise SignatureNotYetValid(f"the signature is valid from {span[0]}, and it is {now} now{by} (Unix seconds)")
    if now > span[1] + skew:
        raise SignatureExpired(f"the signature was valid until {span[1]}, and it is {now} now{by} (Unix seconds)")


cdef tuple header_texts(list headers):
    """(name, lower-case name, value) of each header, in bytes."""
    try:
        return tuple([
            (PyUnicode_AsUTF8String(name), PyUnicode_AsUTF8String(name).lower(), PyUnicode_AsUTF8String(value))
            for name, value in headers
        ])
    except UnicodeEncodeError:
        raise MalformedSignature("a header is not valid Unicode: it holds a lone surrogate") from None


@cython.final
cdef class Terms:
    """What a right signature must keep to.

    Args:
        headers: (name as it is signed, the caller's own name) of the headers that must be signed.
        params: the same of parameters.
        longest: the seconds that a signature may hold at most, or None.
        revoked: a collection of SecretIds and signatures, or a function that is asked about a Verified, or None.
    """

    cdef tuple headers
    cdef tuple params
    cdef object longest
    cdef object revoked
    cdef bint is_function  # revoked

    def __init__(self, tuple headers not None, tuple params not None, longest, revoked):
        self.headers = headers
        self.params = params
        self.longest = longest
        self.revoked = revoked
        self.is_function = callable(revoked)

    def check(self, verified):
        """Raise a SignatureRefused if a Verified does not keep to them."""
        for what, required, signed in (
            ("header", self.headers, "header_list"), ("parameter", self.params, "url_param_list")
        ):
            for name, own_name in required:
                if name not in getattr(verified, signed):
                    raise SignatureRefused(f"the {what} {own_name!r} must be signed, and is not")
        self.check_form(verified)

    def check_form(self, verified):
        """The same for a VerifiedPost, whose policy signs neither headers nor parameters."""
        start, end = verified.key_time
        if self.longest is not None and end - start > self.longest:
            raise SignatureRefused(f"the signature is valid for {end - start} s; the limit is {self.longest} s")
        if self.is_function:
            if self.revoked(verified):
                raise SignatureRevoked("the signature was revoked")
        elif self.revoked is not None:
            for what, value in (("SecretId", verified.secret_id), ("signature", verified.signature)):
                if value in self.revoked:
                    raise SignatureRevoked(f"the {what} {value!r} was revoked")

    cdef bint allow(self, const Presigned* parts) except -1:
        """Whether a URL in the usual form keeps to all of them but `revoked`."""
        for name, _ in self.headers:
            if name != "host" or not parts.signs_host:
                return False
        for name, _ in self.params:
            if not presigned_lists(parts, text_of((<str>name).encode())):
                return False
        return self.longest is None or parts.end - parts.start <= self.longest


cdef class Account:
    """A SecretId whose signatures are accepted, as URLs in the usual form need it."""

    cdef str secret_id
    cdef Secret secret
    cdef bytes url_token  # the token as it stands in a URL, or None


@cython.final
cdef class Judge:
    """Recomputes the signatures of requests that have a method and headers in common, and compares.

    Args:
        method: the requests' method.
        headers: (name, value) pairs of str: the requests' headers. An Authorization is judged if the URL has none.
        secrets: SecretId to ``(Secret of the SecretKey, Secret of the token or None)``.
        engine: what recomputes.
        skew: seconds by which the clock may differ from the signer's.
        terms: Terms, or None.
    """

    cdef str method
    cdef bytes lower      # the method as it is signed
    cdef list headers
    cdef dict secrets
    cdef dict accounts    # by SecretId, of those that were met
    cdef long long skew
    cdef Terms terms
    cdef Engine engine
    cdef bint is_usual    # the headers let URLs in the usual form be judged by their text
    cdef bytes host       # that the headers give, or None
    cdef Text method_text
    cdef Text host_text   # its data is NULL if the headers give none

    def __init__(
        self, str method not None, list headers not None, dict secrets not None, Engine engine not None,
        long long skew=0, Terms terms=None,
    ):
        self.method = method
        self.lower = method.lower().encode()
        self.method_text = text_of(self.lower)
        self.headers = headers
        self.secrets = secrets
        self.skew = skew
        self.terms = terms
        self.engine = engine
        self.is_usual = True
        self.accounts = {}
        if headers:
            self.read_host()

    cdef int read_host(self) except -1:
        """Whether the headers let URLs in the usual form be judged by their text, and the Host that they give."""
        try:
            texts = header_texts(self.headers)
        except MalformedSignature:
            self.is_usual = False  # `examine` raises it, once there is a URL
            return 0
        for _, lower, value in texts:
            if lower == b"host" and self.host is None:
                self.host = value
                self.host_text = text_of(self.host)
            elif lower in (b"host", b"x-cos-security-token"):
                self.is_usual = False
        return 0

    def verify(self, str url not None, long long now):
        """Check a presigned URL, or a request with an Authorization.

        Args:
            url: an absolute http(s) URL, or a request target that begins with "/".
            now: Unix seconds.

        Returns:
            A Verified.

        Raises:
            BadSignature: one of its kinds.
        """
        verified = self.judge_usual(url, now)
        return self.examine(url, now) if verified is None else verified

    def verify_many(self, list urls not None, long long now, int threads=1):
        """Judge many URLs: a Judgement."""
        cdef Judgement result = Judgement(self, urls, now)
        result.run(threads)
        return result

    cdef bint read_usual(self, Text url, Presigned* parts, long long now) noexcept nogil:
        """Take a URL in the usual form apart; False for what `examine` must look at."""
        if not presigned_parse(url, parts):
            return False
        return parts.start - self.skew <= now <= parts.end + self.skew

    cdef bint allows(self, const Presigned* parts) except -1:
        """Whether the terms allow a URL in the usual form, if it is not revoked."""
        return self.terms is None or self.terms.allow(parts)

    cdef bint is_revoked(self, const uint8_t* signature, str secret_id, dict asked) except -1:
        """Whether a right signature or its SecretId is in the collection `revoked`, which is asked for each SecretId once
        in a call. A wrong signature is not asked about."""
        if self.terms is None or self.terms.revoked is None or self.terms.is_function:
            return False
        is_revoked = asked.get(secret_id)
        if is_revoked is None:
            is_revoked = asked[secret_id] = secret_id in self.terms.revoked
        return is_revoked or PyUnicode_DecodeASCII(<const char*>signature, SHA1_HEX, NULL) in self.terms.revoked

    cdef uint8_t* put_http(self, uint8_t* out, Presigned* parts, Text token) noexcept nogil:
        """HttpString; NULL for what `examine` must look at."""
        out = put_http_key(put_http_head(out, self.method_text), parts.path)
        return NULL if out == NULL else put_http_tail(out, parts, token)

    cdef Verified judge_usual(self, str url, long long now):
        """The Verified of one URL in the usual form; None for what `examine` must look at."""
        cdef Presigned parts
        cdef Text text
        cdef Account account
        cdef list alive = []
        cdef uint8_t[2048] small
        cdef uint8_t[SHA1_HEX] signature
        cdef uint8_t* http = small
        cdef uint8_t* end
        cdef size_t bound
        cdef sha1_row row
        cdef Verified verified
        if not self.is_usual or key_text(url, &text, alive) != FAULT_NONE or not self.read_usual(text, &parts, now):
            return None
        account = self.account_of(&parts)
        if account is None or not self.allows(&parts):
            return None
        self.put_host(&parts)
        bound = self.http_room(text)
        if bound > sizeof(small):
            http = <uint8_t*>PyMem_RawMalloc(bound)
            if http == NULL:
                raise MemoryError
        try:
            end = self.put_http(http, &parts, token_of(account))
            if end == NULL:
                return None
            row = sha1_row(http, <size_t>(end - http), &signature[0])
            sha1_pad(http, row.size, 0)
            memset(signature, 0, SHA1_HEX)
            hash_rows(self.engine, account.secret.sign_key(key_time_text(&parts)), &row, 1)
            if not equal_in_constant_time(signature, parts.signature.data, SHA1_HEX):
                return None
            if self.is_revoked(parts.signature.data, account.secret_id, {}):
                return None
            verified = self.usual_verified(&parts, http, end)
        finally:
            if http != small:
                PyMem_RawFree(http)
        if self.terms is not None and self.terms.is_function:
            self.check_terms(verified)
        return verified

    cdef Account account_of(self, const Presigned* parts):
        """The account of a URL's SecretId; None if it is not accepted."""
        cdef Account account
        cdef str secret_id = secret_id_of(parts)
        account = self.accounts.get(secret_id)
        if account is None and secret_id in self.secrets:
            account = Account()
            account.secret_id = secret_id
            account.secret, token = self.secrets[secret_id]
            account.url_token = None if token is None else percent_encode(token.reveal().encode(), COMPONENT)
            self.accounts[secret_id] = account
        return account

    cdef void put_host(self, Presigned* parts) noexcept nogil:
        """What is signed as Host: that of the headers, or the URL's."""
        if self.host_text.data != NULL:
            parts.host = self.host_text

    cdef size_t http_room(self, Text url) noexcept nogil:
        """Bytes that a URL's HttpString may take."""
        return http_bound(url, self.method_text, self.host_text)

    cdef Verified usual_verified(self, Presigned* parts, const uint8_t* http, const uint8_t* end):
        """The Verified of a right URL in the usual form."""
        cdef Verified verified = Verified()
        verified.http = http[:end - http]
        verified.secret_id = secret_id_of(parts)
        verified.method = self.method.upper()
        verified.key = percent_decode(parts.path.data[:parts.path.size], False).decode()
        verified.key_time = (parts.start, parts.end)
        verified.signature = parts.signature.data[:parts.signature.size].decode()
        verified.sign_time = key_time_text(parts).encode()
        verified.header_list = HOST_ALONE if parts.signs_host else ()
        verified.url_param_list = ()
        if parts.param_list.size:
            names = percent_decode(parts.param_list.data[:parts.param_list.size], False)
            verified.url_param_list = tuple(names.decode().split(";"))
        verified.unsigned_params = TOKEN_ALONE if parts.has_token else ()
        return verified

    cdef Verified usual(self, url):
        """The Verified of a URL in the usual form that was found right before."""
        cdef Presigned parts
        cdef Text text
        cdef list alive = []
        cdef bytes http
        cdef uint8_t* start
        cdef Account account
        key_text(url, &text, alive)
        presigned_parse(text, &parts)
        account = self.account_of(&parts)
        self.put_host(&parts)
        http = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>self.http_room(text))
        start = <uint8_t*>PyBytes_AS_STRING(http)
        return self.usual_verified(&parts, start, self.put_http(start, &parts, token_of(account)))

    cdef int check_terms(self, Verified verified) except -1:
        try:
            self.terms.check(verified)
        except BadSignature as error:
            complete(error, verified.key_time, verified.http, verified.sign_time)
            raise
        return 0

    def examine(self, str url not None, long long now):
        """`verify`, of any form and slower; it finds why a signature is refused."""
        cdef dict params = {}
        cdef list pairs, names
        cdef Target target
        cdef bytes data
        try:
            data = PyUnicode_AsUTF8String(url)
        except UnicodeEncodeError:
            raise MalformedSignature("the URL is not valid Unicode: it holds a lone surrogate") from None
        if not target_split(text_of(data), &target):
            raise MalformedSignature("the URL must begin with https://, http:// or /")
        pairs = query_pairs(target.query.data[:target.query.size])
        headers, token, authorization = read_headers(self.headers, target.host.data[:target.host.size])
        fields, pairs = find_fields(pairs, authorization)
        names = []
        for name, value in pairs:
            lower = name.lower()
            if lower not in Q_NAMES:
                gather(params, name, value)
                names.append(name)
                if lower == b"x-cos-security-token":
                    token = value
        path = percent_decode(target.path.data[:target.path.size] or b"/", False)
        return self.recompute(fields, path, params, headers, token, names, now)

    cdef Verified recompute(
        self, dict fields, bytes path, dict params, dict headers, token, list names, long long now
    ):
        """Judge a request that was read: its fields, its parameters and headers as `gather` has them, and its token."""
        cdef Verified verified
        secret_id = as_text(fields["q-ak"])
        sign_time = read_key_time(fields["q-sign-time"], "q-sign-time")
        key_time = read_key_time(fields["q-key-time"], "q-key-time")
        span = max(sign_time[0], key_time[0]), min(sign_time[1], key_time[1])
        http = None
        try:
            if secret_id not in self.secrets:
                raise UnknownSecretId(f"no credentials for the SecretId {secret_id!r}")
            secret, known_token = self.secrets[secret_id]
            param_list, http_parameters = listed_pairs(fields["q-url-param-list"], params, "parameter")
            header_list, http_headers = listed_pairs(fields["q-header-list"], headers, "header")
            http = b"\n".join((self.lower, path, http_parameters, http_headers, b""))
            sign_key = (<Secret?>secret).sign_key(as_text(fields["q-key-time"]), as_text(fields["q-sign-time"]))
            if not compare_digest(signatures(self.engine, sign_key, [http])[0], fields["q-signature"]):
                raise SignatureMismatch(
                    "the signature is not that of this request: another method, path, parameter, header or SecretKey signed it"
                )
            if known_token is not None and token is None:
                raise SignatureMismatch("x-cos-security-token is missing: these credentials are temporary ones with a token")
            if known_token is not None and not compare_digest(known_token.reveal().encode(), token):
                raise SignatureMismatch("x-cos-security-token is not the token of these credentials")
            check_time(span, now, self.skew)
            verified = Verified()
            verified.secret_id = secret_id
            verified.method = self.method.upper()
            verified.key = as_text(path[1:])
            verified.key_time = span
            verified.signature = as_text(fields["q-signature"])
            verified.header_list = header_list
            verified.url_param_list = param_list
            signed_names = set(param_list)
            verified.unsigned_params = tuple([
                as_text(name) for name in names if as_text(percent_encode(name, COMPONENT).lower()) not in signed_names
            ])
            verified.http = http
            verified.sign_time = fields["q-sign-time"]
            if self.terms is not None:
                self.terms.check(verified)
            return verified
        except BadSignature as error:
            complete(error, span, http, fields["q-sign-time"])
            raise


cdef str secret_id_of(const Presigned* parts):
    """A URL's SecretId, which needs no decoding."""
    return parts.secret_id.data[:parts.secret_id.size].decode("utf-8", "backslashreplace")


cdef tuple HOST_ALONE = ("host",)
cdef tuple TOKEN_ALONE = ("x-cos-security-token",)


cdef int complete(error, tuple span, bytes http, bytes sign_time) except -1:
    """Put into an error what is known of the signature."""
    error.key_time = span
    if http is not None:
        error.http_string = as_text(http)
        error.string_to_sign = string_to_sign(http, sign_time)
    return 0


cdef tuple read_headers(list headers, bytes host):
    """(what `gather` has of the headers and the URL's host, the token, the Authorization)."""
    cdef dict have = {}
    token = None
    authorization = None
    for name, lower, value in header_texts(headers):
        if lower == b"host":
            host = b""
        elif lower == b"authorization":
            authorization = value
        elif lower == b"x-cos-security-token":
            token = value
        gather(have, name, value)
    if host:
        have[b"host"] = [percent_encode(host, COMPONENT)]
    return have, token, authorization


cdef tuple find_fields(list pairs, authorization):
    """(the seven fields, the URL's parameters without a ``sign``), out of the URL's parameters or the Authorization."""
    lower = {name.lower(): value for name, value in pairs}
    if b"q-signature" in lower:
        return authorization_fields([(name.lower(), value) for name, value in pairs]), pairs
    if b"sign" in lower:
        if sum([name.lower() == b"sign" for name, _ in pairs]) > 1:
            raise MalformedSignature("sign is there twice")
        fields = authorization_fields([split_pair(part) for part in lower[b"sign"].split(b"&")])
        return fields, [pair for pair in pairs if pair[0].lower() != b"sign"]
    if authorization is not None:
        return authorization_fields([split_pair(part) for part in authorization.split(b"&")]), pairs
    raise MalformedSignature("there is no signature: neither q-signature nor sign in the URL, nor an Authorization")


cdef Text token_of(Account account) noexcept:
    return Text(NULL, 0) if account.url_token is None else text_of(account.url_token)


cdef str key_time_text(const Presigned* parts):
    return percent_decode(parts.key_time.data[:parts.key_time.size], False).decode()


# --- Judging many -----------------------------------------------------------------------------------------------------

cdef class Pattern:
    """What the URLs of one batch have in common, and what keeps its texts."""

    cdef UrlPattern native
    cdef bytes url
    cdef bytes frame_text
    cdef Account account
    cdef SignKey sign_key


cdef enum State:
    UNKNOWN  # not yet looked at, or of another SecretId
    LEFT     # for `examine`
    READY    # its HttpString is there
    HASHED
    RIGHT


@cython.final
cdef class JudgingSpace:
    """The memory of a judgement, used again for each of its blocks."""

    cdef Text[BLOCK] urls
    cdef State[BLOCK] state
    cdef Presigned[BLOCK] parts
    cdef sha1_row[BLOCK] rows
    cdef uint8_t[BLOCK * SHA1_HEX] signatures
    cdef sha1_row[BLOCK] signed   # what is hashed at a time
    cdef const uint8_t* wanted[BLOCK]  # the signatures in the URLs that were compared
    cdef Py_ssize_t[BLOCK] owners # whose they are, by number in
    cdef list accounts            # of the block's SecretIds
    cdef uint8_t* http
    cdef size_t http_size
    cdef Pattern pattern
    cdef Py_ssize_t[BLOCK] places # the rows that fit the pattern
    cdef Text[BLOCK] keys         # and their keys, percent-encoded
    cdef uint8_t[BLOCK] wrong     # and whether those cannot be keys
    cdef Text[BLOCK] texts
    cdef uint8_t* text
    cdef size_t text_size

    def __dealloc__(self):
        PyMem_RawFree(self.http)
        PyMem_RawFree(self.text)

    cdef Py_ssize_t judge_fitting(self, Py_ssize_t count, Engine engine) except -1 nogil:
        """Judge the rows that fit the pattern; returns how many do."""
        cdef const UrlPattern* pattern = &self.pattern.native
        cdef Fitting fitting
        cdef Space space
        cdef Py_ssize_t fits = 0
        cdef Py_ssize_t i
        for i in range(count):
            if self.state[i] == UNKNOWN and pattern_fits(pattern, self.urls[i], &self.keys[fits]):
                self.places[fits] = i
                fits += 1
        fitting = Fitting(&self.keys[0], <size_t>fits, &self.signed[0], &self.wrong[0], &self.texts[0])
        space = Space(self.http, self.text, self.text + self.text_size)
        pattern_lay_out(pattern, engine.native.lay, &fitting, space, self.signatures)
        hash_rows(engine, self.pattern.sign_key, self.signed, fits)
        for i in range(fits):
            if self.wrong[i]:
                self.state[self.places[i]] = LEFT
            else:
                self.compare(self.places[i], self.signed[i].hole, self.keys[i].data + self.keys[i].size + pattern.middle.size)
        return fits

    cdef inline void compare(self, Py_ssize_t i, const uint8_t* signature, const uint8_t* wanted) noexcept nogil:
        """Whether a row's signature is the one in its URL."""
        self.wanted[i] = wanted
        self.state[i] = RIGHT if equal_in_constant_time(signature, wanted, SHA1_HEX) else LEFT


@cython.final
cdef class Judgement:
    """What `Signer.verify_many` found: a sequence with a Verified or a BadSignature for each URL, in order.

    All URLs are checked at once. Each Verified is made when you read it.

    Attributes:
        bad: the rows, from 0, of the URLs whose signature is not right, in order.
    """

    cdef Judge judge
    cdef list urls
    cdef long long now
    cdef dict others  # row to the Verified or BadSignature that `examine` gave
    cdef dict asked   # SecretId to whether it is revoked
    cdef readonly list bad

    def __init__(self, Judge judge not None, list urls not None, long long now):
        self.judge = judge
        self.urls = urls
        self.now = now
        self.others = {}
        self.asked = {}
        self.bad = []

    cdef int run(self, int threads) except -1:
        """Judge all."""
        cdef Py_ssize_t start
        if threads > 1 and len(self.urls) > SHARE:
            in_threads(self.share, [(start,) for start in range(0, len(self.urls), SHARE)], threads)
        else:
            for start in range(0, len(self.urls), SHARE):
                self.share(start)
                PyErr_CheckSignals()
        self.bad = sorted([row for row, result in self.others.items() if not isinstance(result, Verified)])
        return 0

    def share(self, Py_ssize_t first):
        """Judge SHARE rows, a block at a time."""
        cdef Py_ssize_t last = min(first + SHARE, len(self.urls))
        cdef JudgingSpace space = JudgingSpace()
        while first < last:
            self.block(space, first, min(last, first + BLOCK))
            first = min(last, first + BLOCK)

    cdef int block(self, JudgingSpace space, Py_ssize_t first, Py_ssize_t last) except -1:
        cdef Judge judge = self.judge
        cdef bint asks
        cdef Py_ssize_t i
        cdef Py_ssize_t count = last - first
        cdef Py_ssize_t unknown = 0  # rows
        cdef Py_ssize_t fits = 0
        cdef size_t bound = FRAME_SLACK
        cdef list alive = []
        for i in range(count):
            space.state[i] = LEFT
            if judge.is_usual and key_text(self.urls[first + i], &space.urls[i], alive) == FAULT_NONE:
                space.state[i] = UNKNOWN
                unknown += 1
                text_soon(space.urls[i].data, space.urls[i].size)  # strings lie anywhere in memory
                bound += judge.http_room(space.urls[i])
        hold(&space.http, &space.http_size, bound)
        hold(&space.text, &space.text_size, bound)
        if space.state[0] == UNKNOWN:
            self.set_pattern(space)
        memset(space.owners, 0, sizeof(space.owners))
        space.accounts = [None if space.pattern is None else space.pattern.account]
        if space.pattern is not None:
            with nogil:
                fits = space.judge_fitting(count, judge.engine)
        if fits < unknown:
            self.judge_parsed(space, count)
        asks = judge.terms is not None and judge.terms.revoked is not None
        for i in range(count):
            if asks or space.state[i] != RIGHT:
                self.finish(space, first, i)
        return 0

    cdef int finish(self, JudgingSpace space, Py_ssize_t first, Py_ssize_t i) except -1:
        """Examine a row that is not right; ask about one that is, where the terms do."""
        cdef Judge judge = self.judge
        if space.state[i] != RIGHT:
            self.others[first + i] = self.examined(first + i)
            return 0
        try:
            if judge.terms.is_function:
                judge.check_terms(judge.usual(self.urls[first + i]))
            elif judge.is_revoked(space.wanted[i], (<Account>space.accounts[space.owners[i]]).secret_id, self.asked):
                judge.examine(str(self.urls[first + i]), self.now)
        except BadSignature as error:
            self.others[first + i] = error.with_traceback(None)
        return 0

    cdef int set_pattern(self, JudgingSpace space) except -1:
        """The pattern of a block, which its first URL has."""
        cdef Text key
        cdef Pattern pattern
        if space.pattern is None or not pattern_fits(&space.pattern.native, space.urls[0], &key):
            pattern = self.pattern_of(space.urls[0])
            if pattern is not None:
                space.pattern = pattern
        return 0

    cdef Pattern pattern_of(self, Text url):
        """The Pattern that a URL fits; None if that URL is not in the usual form, or not allowed."""
        cdef Judge judge = self.judge
        cdef Pattern pattern = Pattern()
        cdef UrlPattern* native = &pattern.native
        cdef Presigned parts
        cdef Account account
        cdef bytes http
        cdef uint8_t* end
        pattern.url = url.data[:url.size]
        url = text_of(pattern.url)
        if not judge.read_usual(url, &parts, self.now) or not judge.allows(&parts):
            return None
        account = judge.account_of(&parts)
        if account is None:
            return None
        native.head = Text(url.data, <size_t>(parts.path.data - url.data))
        end = <uint8_t*>parts.path.data + parts.path.size
        native.middle = Text(end, <size_t>(parts.signature.data - end))
        end = <uint8_t*>parts.signature.data + parts.signature.size
        native.tail = Text(end, <size_t>(url.data + url.size - end))
        native.has_token = account.url_token is not None
        native.frame.escapes = False  # they stand in the URL already
        judge.put_host(&parts)
        http = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>judge.http_room(url))
        end = put_http_tail(<uint8_t*>PyBytes_AS_STRING(http), &parts, token_of(account))
        if end == NULL:
            return None
        pattern.account = account
        pattern.sign_key = account.secret.sign_key(key_time_text(&parts))
        pattern.frame_text = put_frame(
            &native.frame, [judge.lower + b"\n/", http[:end - <uint8_t*>PyBytes_AS_STRING(http)], b"", b"", b""]
        )
        return pattern

    cdef int judge_parsed(self, JudgingSpace space, Py_ssize_t count) except -1:
        """Judge the rows that are UNKNOWN, each taken apart."""
        cdef Judge judge = self.judge
        cdef Py_ssize_t i, first
        cdef Account account
        cdef Text secret_id, token
        cdef uint8_t* out = space.http
        with nogil:
            for i in range(count):
                if space.state[i] == UNKNOWN and not judge.read_usual(space.urls[i], &space.parts[i], self.now):
                    space.state[i] = LEFT
        if judge.terms is not None:
            for i in range(count):
                if space.state[i] == UNKNOWN and not judge.allows(&space.parts[i]):
                    space.state[i] = LEFT
        for first in range(count):  # all rows of one SecretId at a time
            if space.state[first] != UNKNOWN:
                continue
            account = judge.account_of(&space.parts[first])
            if account is None:
                space.state[first] = LEFT
                continue
            secret_id = space.parts[first].secret_id
            token = token_of(account)
            with nogil:
                out = self.lay_out_parsed(space, count, secret_id, token, out)
            space.accounts.append(account)
            for i in range(first, count):
                if space.state[i] == READY:
                    self.hash_alike(space, i, count, account)
            for i in range(first, count):
                if space.state[i] == HASHED:
                    space.owners[i] = len(space.accounts) - 1
                    space.compare(i, space.rows[i].hole, space.parts[i].signature.data)
        return 0

    cdef uint8_t* lay_out_parsed(
        self, JudgingSpace space, Py_ssize_t count, Text secret_id, Text token, uint8_t* out
    ) noexcept nogil:
        """Lay out the UNKNOWN rows of a SecretId from `out` on; returns the end."""
        cdef Py_ssize_t i
        cdef Presigned* parts
        cdef uint8_t* end
        for i in range(count):
            parts = &space.parts[i]
            if space.state[i] != UNKNOWN or not text_is(parts.secret_id, <const char*>secret_id.data, secret_id.size):
                continue
            space.state[i] = LEFT
            self.judge.put_host(parts)
            end = self.judge.put_http(out, parts, token)
            if end == NULL:
                continue
            space.rows[i] = sha1_row(out, <size_t>(end - out), &space.signatures[SHA1_HEX * i])
            sha1_pad(out, space.rows[i].size, 0)
            out += sha1_blocks(space.rows[i].size) * SHA1_BLOCK
            space.state[i] = READY
        return out

    cdef int hash_alike(self, JudgingSpace space, Py_ssize_t first, Py_ssize_t count, Account account) except -1:
        """Sign the READY rows from `first` on that have its KeyTime."""
        cdef Presigned* parts = &space.parts[first]
        cdef Py_ssize_t i
        cdef Py_ssize_t alike = 0
        cdef SignKey key = account.secret.sign_key(key_time_text(parts))
        with nogil:
            for i in range(first, count):
                if space.state[i] == READY and text_is(
                    space.parts[i].key_time, <const char*>parts.key_time.data, parts.key_time.size
                ):
                    space.signed[alike] = space.rows[i]
                    alike += 1
                    space.state[i] = HASHED
            hash_rows(self.judge.engine, key, space.signed, alike)
        return 0

    cdef object examined(self, Py_ssize_t row):
        url = self.urls[row]
        if not isinstance(url, str):
            raise ParameterError("urls", f"must be a str, not {type(url).__name__}", row)
        try:
            return self.judge.examine(str(url), self.now)
        except BadSignature as error:
            return error.with_traceback(None)

    def __len__(self):
        return len(self.urls)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self.urls)))]
        row = index if index >= 0 else index + len(self.urls)
        if not 0 <= row < len(self.urls):
            raise IndexError("the row is not one of the URLs")
        result = self.others.get(row)
        return self.judge.usual(self.urls[row]) if result is None else result

    def __iter__(self):
        for row in range(len(self.urls)):
            yield self[row]

    def __repr__(self):
        return f"<{len(self.urls)} URLs judged, {len(self.bad)} bad>"

