"""Makes one POST to the service, and reads what its answer means for the batch."""

from __future__ import annotations

import time
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import urlsplit

import httpx

from client_middleware.refusal import Problem, problems
from client_middleware.wire import NAME, __version__

MAX_ANSWER = 1 << 20  # bytes of an answer that are read: one that rejects 1,000 logs for a few fields has 300 KB
INVALID = (400, 413, 422)  # the batch was refused for what it contains: parts of it may be accepted
# Errors after which the batch is certainly not stored: it never reached the service.
UNREACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch.

    It is `stored`; to be sent `again`, later; `refused`, and would be again; `invalid`, so that it would be refused
    again unless something is left out of it; or `unauthorized`.
    """

    kind: Literal["stored", "again", "refused", "invalid", "unauthorized"]
    reason: str = ""
    """What a loss is counted under, `[a-z0-9_]{1,64}`."""
    detail: str = ""
    """What happened, for people."""
    problems: tuple[Problem, ...] = ()
    """What the service says is wrong with the batch, or with logs of one that is stored."""
    wait: float | None = None
    """Seconds that the service asked to wait."""
    maybe_stored: bool = False
    """The answer got lost, or leaves it open whether the service stored the batch."""
    answer: bytes = b""
    date: float | None = None
    """The Date header of the answer: the service's clock, seconds since 1970."""


class Transport:
    """Keeps one connection open. For one thread.

    It uses httpx's transport without its Client, which logs each request at INFO and takes twice the CPU.
    """

    def __init__(self, api_base: str, api_key: str, timeout: float) -> None:
        self._url = httpx.URL(f"{api_base}/track/batch")
        self._headers = {
            "Host": self._url.netloc.decode("ascii"),
            "X-API-Key": api_key,
            "Content-Type": "application/json",
            "User-Agent": f"{NAME}/{__version__}",
        }
        self._timeout = timeout
        self._proxy = _proxy(api_base)
        self._http: httpx.HTTPTransport | None = None

    def post(self, body: bytes, within: float | None = None) -> Outcome:
        """Send a batch. Takes at most about `within` seconds, or the timeout of the settings if that is less."""
        limit = self._timeout if within is None else min(max(within, 0.05), self._timeout)
        give_up = time.monotonic() + limit
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), limit)
        request = httpx.Request(
            "POST", self._url, headers=self._headers, content=body, extensions={"timeout": timeouts}
        )
        try:
            if self._http is None:
                verify = self._url.scheme == "https"  # reading the certificates takes 20 ms that http does not need
                self._http = httpx.HTTPTransport(verify=verify, proxy=self._proxy)
            response = self._http.handle_request(request)
            try:
                answer = _read(response, give_up)
            finally:
                response.close()
        except UNREACHED as error:
            return Outcome("again", "unreachable", f"the service cannot be reached: {error}")
        except (httpx.HTTPError, httpx.StreamError) as error:
            self.close()
            detail = f"no answer: {type(error).__name__} {error}".rstrip()
            return Outcome("again", "unconfirmed", detail, maybe_stored=True)
        return understand(response, answer)

    def close(self) -> None:
        """Close the connection; the next batch opens another."""
        if self._http is not None:
            self._http.close()
            self._http = None


def understand(response: httpx.Response, answer: bytes) -> Outcome:
    """Return what an answer means for the batch."""
    status = response.status_code
    date = _when(response.headers.get("date"))
    said = answer[:300].decode("utf-8", "replace")
    detail = f"the service answered {status}: {said}"
    if 200 <= status < 300:
        return Outcome("stored", problems=problems(answer), answer=answer, date=date)
    if status == 401:
        return Outcome("unauthorized", "unauthorized", detail, answer=answer, date=date)
    reason = f"http_{status}"
    if status in (408, 429) or status >= 500:
        wait = _retry_after(response.headers.get("retry-after"), date or time.time())
        # Only after 429 is the batch certainly not stored. A gateway sends the others while the function may still run,
        # and the service sends 503 also if the answer of DynamoDB got lost.
        return Outcome("again", reason, detail, wait=wait, maybe_stored=status != 429, answer=answer, date=date)
    if status in INVALID:
        return Outcome("invalid", reason, detail, problems(answer), answer=answer, date=date)
    return Outcome("refused", reason, detail, answer=answer, date=date)


def _read(response: httpx.Response, give_up: float) -> bytes:
    answer = b""
    for chunk in response.iter_raw():
        answer += chunk
        if len(answer) > MAX_ANSWER:
            break
        if time.monotonic() > give_up:
            raise httpx.ReadTimeout("the answer came too slowly")
    return answer


def _when(date: str | None) -> float | None:
    if date is None:
        return None
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _retry_after(value: str | None, now: float) -> float | None:
    """Parse a Retry-After header, a number of seconds or a date (RFC 9110, 10.2.3), into seconds from `now`."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value)
    at = _when(value)
    return None if at is None else max(at - now, 0.0)


def _proxy(api_base: str) -> str | None:
    """Return the proxy that the environment names for this address, as httpx.Client chooses it."""
    parts = urlsplit(api_base)
    proxies = urllib.request.getproxies()
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")


def clock_skew(outcome: Outcome) -> float | None:
    """Return how far this machine's clock is ahead of the service's, in seconds; None if the answer had no Date."""
    return None if outcome.date is None else datetime.now(UTC).timestamp() - outcome.date
