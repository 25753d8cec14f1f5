"""Every setting of the middleware: one frozen value, read once, from arguments, the environment or a .env file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypedDict

from client_middleware import values
from client_middleware.values import Consumer, Networks


class SettingsError(ValueError):
    """A setting that can not be used; the message names it, where it came from, and what is expected."""


def _setting(
    default: Any, environment: str, parse: Callable[[object], Any], meaning: str, unit: str = "", shown: str = ""
) -> Any:
    """A field: where it is read, how it is understood, and what the table in README.md says of it."""
    metadata = {"environment": environment, "parse": parse, "meaning": meaning, "unit": unit, "default": shown}
    return field(default=default, metadata=metadata)


class Options(TypedDict, total=False):
    """The settings as arguments, for type checkers and editors: what `Settings` has, less its key."""

    api_base: str | None
    ip: Literal["full", "masked", "hashed", "none"] | None
    ip_secret: str | None
    trusted_proxies: int | str | Sequence[str] | None
    sample_rate: float | None
    exclude_paths: str | Sequence[str] | None
    exclude_methods: str | Sequence[str] | None
    consumer: str | Consumer | None
    user_agent: bool | None
    raw_path: Literal["none", "unmatched", "all"] | None
    flush_seconds: float | None
    batch_logs: int | None
    buffer_logs: int | None
    buffer_bytes: int | None
    timeout_seconds: float | None
    retry_seconds: float | None
    shutdown_seconds: float | None
    lambda_flush: Literal["every", "adaptive", "off"] | None
    lambda_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to send where; see the table in README.md, which a test compares with this class."""

    api_base: str | None = _setting(
        None, "API_BASE", values.base, "where the service is; without it nothing is tracked", "URL"
    )
    api_key: str | None = _setting(None, "ANALYTICS_API_KEY", values.key, "the key; without it nothing is tracked")
    ip: Literal["full", "masked", "hashed", "none"] = _setting(
        "masked",
        "ANALYTICS_IP",
        values.choice("full", "masked", "hashed", "none"),
        "what is kept of the client's address: all, its network (/24, /48), a keyed hash that changes daily, nothing",
    )
    ip_secret: str | None = _setting(
        None,
        "ANALYTICS_IP_SECRET",
        values.text,
        "the secret behind `hashed`; the same in every process",
        shown="the API key",
    )
    trusted_proxies: int | Networks = _setting(  # noqa: RUF009 - a field
        0,
        "ANALYTICS_TRUSTED_PROXIES",
        values.proxies,
        "how many proxies in front of the app append to X-Forwarded-For, or their networks (`10.0.0.0/8,fd00::/8`); "
        "0: the header is not read",
        "proxies, or networks",
    )
    sample_rate: float = _setting(
        1.0,
        "ANALYTICS_SAMPLE_RATE",
        values.number(0.0001, 1),
        "share of requests sent; totals stay right",
        "0.0001 to 1",
    )
    exclude_paths: tuple[str, ...] = _setting(
        (),
        "ANALYTICS_EXCLUDE_PATHS",
        values.paths,
        "paths that are not tracked; `*` stands for any text, `probes` for the usual health checks",
        "list",
        "none",
    )
    exclude_methods: tuple[str, ...] = _setting(
        (), "ANALYTICS_EXCLUDE_METHODS", values.methods, "methods that are not tracked", "list", "none"
    )
    consumer: str | Consumer | None = _setting(  # noqa: RUF009 - a field
        None,
        "ANALYTICS_CONSUMER",
        values.consumer,
        "who calls: the name of a `request.state` attribute, or (argument only) a function of the request",
        shown="not collected",
    )
    user_agent: bool = _setting(False, "ANALYTICS_USER_AGENT", values.flag, "keep the User-Agent header", "true, false")
    raw_path: Literal["none", "unmatched", "all"] = _setting(
        "none",
        "ANALYTICS_RAW_PATH",
        values.choice("none", "unmatched", "all"),
        "keep the path as it was asked for, beside the route template: never, where no route matched, always",
    )
    flush_seconds: float = _setting(
        5.0,
        "ANALYTICS_FLUSH_SECONDS",
        values.number(0.05, 3600),
        "a log waits at most this long before it is sent",
        "s",
    )
    batch_logs: int = _setting(
        1000, "ANALYTICS_BATCH_LOGS", values.whole(1, 1000), "as many logs are sent at once", "logs"
    )
    buffer_logs: int = _setting(
        10_000,
        "ANALYTICS_BUFFER_LOGS",
        values.whole(1, 1_000_000),
        "more logs than this do not wait; they count as lost",
    )
    buffer_bytes: int = _setting(
        8 << 20, "ANALYTICS_BUFFER_BYTES", values.whole(1024, 1 << 30), "nor do logs that need more memory", "bytes"
    )
    timeout_seconds: float = _setting(
        10.0, "ANALYTICS_TIMEOUT_SECONDS", values.number(0.1, 300), "an answer is waited for at most this long", "s"
    )
    retry_seconds: float = _setting(
        3600.0, "ANALYTICS_RETRY_SECONDS", values.number(0, 43_200), "a batch is tried again for at most this long", "s"
    )
    shutdown_seconds: float = _setting(
        2.0,
        "ANALYTICS_SHUTDOWN_SECONDS",
        values.number(0, 60),
        "sending what is left may delay the exit by this much",
        "s",
    )
    lambda_flush: Literal["every", "adaptive", "off"] = _setting(
        "every",
        "ANALYTICS_LAMBDA_FLUSH",
        values.choice("every", "adaptive", "off"),
        "on AWS Lambda: send in every invocation, or only once `flush_seconds` or `batch_logs` are reached, "
        "or in the background as elsewhere",
    )
    lambda_seconds: float = _setting(
        1.0, "ANALYTICS_LAMBDA_SECONDS", values.number(0.01, 60), "sending may delay an invocation by this much", "s"
    )
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Where each setting that is no default came from: "argument", "environment" or the path of a .env file."""

    @property
    def missing(self) -> str | None:
        """The environment variable without which there is nowhere to send to, if any."""
        return next((spelled(name) for name in ("api_base", "api_key") if getattr(self, name) is None), None)

    @classmethod
    def load(cls, arguments: Mapping[str, Any], environment: Mapping[str, str], files: Iterable[Path] = ()) -> Settings:
        """Settings by argument, else environment variable, else the first .env file that has them, else default.

        An argument of None and an empty variable count as not given. Raises SettingsError.
        """
        known = {each.name: each for each in fields(cls) if each.metadata}
        if unknown := [name for name in arguments if name not in known]:
            raise SettingsError(f"unknown setting {unknown[0]!r}; there are: {', '.join(known)}")
        read = [("environment", environment), *((str(path), _dotenv(path)) for path in files)]
        parsed: dict[str, Any] = {}
        sources: dict[str, str] = {}
        for name, each in known.items():
            given = [("argument", arguments.get(name))]
            given += [(source, variables.get(each.metadata["environment"]) or None) for source, variables in read]
            source, value = next(((source, value) for source, value in given if value is not None), ("", None))
            if value is None:
                continue
            try:
                parsed[name] = each.metadata["parse"](value)
            except ValueError as error:
                where = f"{name} (argument)" if source == "argument" else f"{spelled(name)} ({source})"
                shown = "" if name in ("api_key", "ip_secret") else f", found {value!r}"
                raise SettingsError(f"{where}: {error}{shown}") from None
            sources[name] = source
        return cls(**parsed, sources=sources)


def spelled(name: str) -> str:
    """The environment variable of a setting."""
    return str(Settings.__dataclass_fields__[name].metadata["environment"])


def load(**arguments: Any) -> Settings:
    """Settings of this process. A .env is looked for in the working directory and above, then around this folder."""
    return Settings.load(arguments, os.environ, _files())


def _files() -> Iterable[Path]:
    here = (Path.cwd(), Path(__file__).resolve().parent)
    found = (folder / ".env" for start in here for folder in (start, *start.parents))
    return list(dict.fromkeys(path for path in found if path.is_file()))[:2]


def _dotenv(path: Path) -> Mapping[str, str]:
    from dotenv import dotenv_values  # here, for an app without a .env file has no use for it

    return {name: value for name, value in dotenv_values(path).items() if value is not None}
