"""Makes one row of each finished request, for both ways of use."""

from __future__ import annotations

import atexit
import contextlib
import fnmatch
import logging
import os
import re
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from client_middleware import address
from client_middleware import settings as configuration
from client_middleware.fields import FIELDS, Field, Finished, collector
from client_middleware.route import Templates
from client_middleware.sampling import Sampler

if TYPE_CHECKING:
    from client_middleware.buffer import Row
    from client_middleware.delivery import Delivery
    from client_middleware.settings import Settings
    from client_middleware.sink import Sink

logger = logging.getLogger("client_middleware")

LAMBDA_MARGIN_S = 0.2  # at the end of an invocation, kept for its answer

_trackers: weakref.WeakSet[Tracker] = weakref.WeakSet()
_diverted: list[Sink] = []


class Tracker:
    """Records the requests of one app. `sink` is None if tracking is switched off."""

    def __init__(self, settings: Settings, sink: Sink | None = None, fields: Iterable[Field] = FIELDS) -> None:
        self.settings = settings
        self._delivery: Delivery | None = None
        self.on_lambda = settings.lambda_flush != "off" and "AWS_LAMBDA_FUNCTION_NAME" in os.environ
        if sink is None:
            sink = self._delivery = self._deliver()
        self.own_sink = sink
        self.sink = _diverted[-1] if _diverted else sink
        self._endpoint = Templates().of
        self._proxies = settings.trusted_proxies
        secret = settings.ip_secret or settings.api_key or ""
        self._addresses = address.Addresses(settings.ip, secret.encode())
        self._sampler = Sampler(settings.sample_rate) if settings.sample_rate < 1 else None
        self.excluded = _excluded(settings.exclude_paths, settings.exclude_methods)
        self._optional = collector(settings, fields)
        self._complained = False
        self.app: object = None
        """The app whose shutdown handlers include this tracker's flush."""
        if self._delivery is not None:
            self._delivery.owner = self  # keeps this tracker alive while logs wait
        _register(self)

    def _deliver(self) -> Delivery | None:
        settings = self.settings
        if settings.api_base is None or settings.api_key is None:
            logger.warning("%s is not set: requests are not tracked", settings.missing)
            return None
        # At the start of the app, not at the first request: importing httpx takes 0.1 s.
        from client_middleware.delivery import Delivery
        from client_middleware.transport import Transport

        base, key, timeout = settings.api_base, settings.api_key, settings.timeout_seconds
        return Delivery(settings, lambda: Transport(base, key, timeout), in_background=not self.on_lambda)

    def record(self, scope: Mapping[str, Any], path: str, at: float, seconds: float, status: int) -> None:
        """Record a finished request, which began `at` seconds since 1970. Never raises."""
        try:
            addresses = self._addresses
            if at >= addresses.until:
                addresses.rotate(at)
            client = scope.get("client")
            host = client[0] if client else None
            if self._proxies:
                host = address.behind_proxies(host, scope["headers"], self._proxies)
            endpoint = self._endpoint(scope)
            optional = self._optional(Finished(scope, path, endpoint)) if self._optional is not None else ""
            row: Row = (at, seconds, scope["method"], endpoint, status, addresses[host], optional, 1)
            if self._sampler is not None:
                row = self._sampler.choose(row)
            if row[-1] and self.sink is not None:
                self.sink.record(row)
        except Exception:
            # A defect of the middleware, or an exception in `consumer`: it is counted, and must not fail the request.
            if not self._complained:
                logger.exception("A request could not be recorded; said once, counted each time")
            self._complained = True
            if self._delivery is not None:
                self._delivery.buffer.lose({"unrecordable": 1})

    def flush(self, seconds: float) -> bool:
        """Send what was recorded, with the tail of the sample, within so many seconds; whether nothing is left."""
        self._add_tail()
        return self.sink is None or self.sink.flush(seconds)

    def close(self, seconds: float) -> bool:
        """Flush when the app shuts down. Requests that are recorded later are still sent."""
        self._add_tail()
        return self.sink is None or self.sink.close(seconds)

    def _add_tail(self) -> None:
        row = self._sampler.tail() if self._sampler is not None else None
        if row is not None and self.sink is not None:
            self.sink.record(row)

    def flush_invocation(self, scope: Mapping[str, Any]) -> None:
        """At the end of a Lambda invocation, send what is due within a deadline; the next invocation sends the rest."""
        if self._delivery is None or (self.settings.lambda_flush == "adaptive" and not self._delivery.due):
            return
        seconds = self.settings.lambda_seconds
        context = scope.get("aws.context")
        if context is not None:
            seconds = min(seconds, context.get_remaining_time_in_millis() / 1000 - LAMBDA_MARGIN_S)
        if seconds > 0:
            self._delivery.flush(seconds)

    def reset(self) -> None:
        """Start afresh in a child process."""
        if self.own_sink is not None:
            self.own_sink.reset()
        if self._sampler is not None:
            self._sampler.reset()

    def exit(self) -> None:
        """Flush at the end of the process, and log how many logs are left."""
        delivery = self._delivery
        if delivery is None:
            return
        self._add_tail()
        if not delivery.close(0.0 if delivery.timed_out else self.settings.shutdown_seconds):
            logger.warning("%d logs could not be delivered before the exit", delivery.pending)


def _excluded(paths: tuple[str, ...], methods: tuple[str, ...]) -> Callable[[Mapping[str, Any]], bool] | None:
    if not paths and not methods:
        return None
    pattern = re.compile("|".join(fnmatch.translate(path.replace("[", "[[]").replace("?", "[?]")) for path in paths))

    def excluded(scope: Mapping[str, Any]) -> bool:
        if scope["method"] in methods:
            return True
        return bool(paths) and pattern.match(scope["path"]) is not None

    return excluded


def _register(tracker: Tracker) -> None:
    if not _hooked:
        _hooked.append(True)
        atexit.register(_exit_all)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_reset_all)
    _trackers.add(tracker)


_hooked: list[bool] = []


def _exit_all() -> None:
    for tracker in list(_trackers):
        tracker.exit()


def flush(seconds: float = 2.0) -> bool:
    """Send the logs of every middleware of this process, within so many seconds; return whether nothing is left.

    For a process that ends without `atexit`, such as a child of `multiprocessing`.
    """
    give_up = time.monotonic() + seconds
    settled = True
    for tracker in list(_trackers):
        settled &= tracker.flush(max(give_up - time.monotonic(), 0.0))
    return settled


def _reset_all() -> None:
    for tracker in list(_trackers):
        tracker.reset()


@contextlib.contextmanager
def record_to(sink: Sink) -> Iterator[Sink]:
    """Make every middleware of this process record only to this sink, also one that is made in the `with` block.

    A middleware that is switched off for want of a key records there too. For tests of an app that makes its own.
    """
    _diverted.append(sink)
    for tracker in list(_trackers):
        tracker.sink = sink
    try:
        yield sink
    finally:
        _diverted.remove(sink)
        for tracker in list(_trackers):
            tracker.sink = _diverted[-1] if _diverted else tracker.own_sink


def make(settings: Mapping[str, Any], sink: Sink | None) -> Tracker:
    """Make a tracker from these arguments and the settings of this process. Raises SettingsError."""
    return Tracker(configuration.load(**settings), sink)
