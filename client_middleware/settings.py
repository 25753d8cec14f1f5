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
    """A setting has an invalid value. The message names the setting, its source and the expected value."""


def _setting(
    default: Any, environment: str, parse: Callable[[object], Any], meaning: str, unit: str = "", shown: str = ""
) -> Any:
    """A field of Settings, with its environment variable, its parser and its row of the table in README.md."""
    metadata = {"environment": environment, "parse": parse, "meaning": meaning, "unit": unit, "default": shown}
    return field(default=default, metadata=metadata)


class Options(TypedDict, total=False):
    """The settings as keyword arguments, for type checkers and editors: those of `Settings` but `api_key`."""

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
    """Every setting; the table in README.md is the same list."""

    api_base: str | None = _setting(
        None, "API_BASE", values.base, "address of the service; without it nothing is tracked", "URL"
    )
    api_key: str | None = _setting(None, "ANALYTICS_API_KEY", values.key, "API key; without it nothing is tracked")
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
        "secret key of `hashed`; use the same in every process",
        shown="the API key",
    )
    trusted_proxies: int | Networks = _setting(  # noqa: RUF009 - a field
        0,
        "ANALYTICS_TRUSTED_PROXIES",
        values.proxies,
        "number of proxies in front of the app that append to X-Forwarded-For, or their networks "
        "(`10.0.0.0/8,fd00::/8`); 0: the header is not read",
        "proxies, or networks",
    )
    sample_rate: float = _setting(
        1.0,
        "ANALYTICS_SAMPLE_RATE",
        values.number(0.0001, 1),
        "share of requests that are sent; totals stay right",
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
        "who calls: the name of a `request.state` attribute, or (argument only) a function that takes the request",
        shown="not collected",
    )
    user_agent: bool = _setting(False, "ANALYTICS_USER_AGENT", values.flag, "keep the User-Agent header", "true, false")
    raw_path: Literal["none", "unmatched", "all"] = _setting(
        "none",
        "ANALYTICS_RAW_PATH",
        values.choice("none", "unmatched", "all"),
        "keep the requested path beside the route template: never, where no route matched, always",
    )
    flush_seconds: float = _setting(
        5.0,
        "ANALYTICS_FLUSH_SECONDS",
        values.number(0.05, 3600),
        "maximum time a log waits before it is sent",
        "s",
    )
    batch_logs: int = _setting(1000, "ANALYTICS_BATCH_LOGS", values.whole(1, 1000), "maximum logs per batch", "logs")
    buffer_logs: int = _setting(
        10_000,
        "ANALYTICS_BUFFER_LOGS",
        values.whole(1, 1_000_000),
        "maximum logs waiting; more are dropped and counted",
        "logs",
    )
    buffer_bytes: int = _setting(
        8 << 20,
        "ANALYTICS_BUFFER_BYTES",
        values.whole(1024, 1 << 30),
        "maximum memory of the logs waiting; more are dropped and counted",
        "bytes",
    )
    timeout_seconds: float = _setting(
        10.0, "ANALYTICS_TIMEOUT_SECONDS", values.number(0.1, 300), "maximum time to wait for an answer", "s"
    )
    retry_seconds: float = _setting(
        3600.0, "ANALYTICS_RETRY_SECONDS", values.number(0, 43_200), "maximum time in which a batch is tried again", "s"
    )
    shutdown_seconds: float = _setting(
        2.0,
        "ANALYTICS_SHUTDOWN_SECONDS",
        values.number(0, 60),
        "maximum delay of the exit, to send what is left",
        "s",
    )
    lambda_flush: Literal["every", "adaptive", "off"] = _setting(
        "every",
        "ANALYTICS_LAMBDA_FLUSH",
        values.choice("every", "adaptive", "off"),
        "on AWS Lambda: send in every invocation, only once `flush_seconds` or `batch_logs` is reached, "
        "or in the background as elsewhere",
    )
    lambda_seconds: float = _setting(
        1.0, "ANALYTICS_LAMBDA_SECONDS", values.number(0.01, 60), "maximum delay of an invocation, to send logs", "s"
    )
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """The source of each setting that is not at its default: "argument", "environment" or the path of a .env file."""

    @property
    def missing(self) -> str | None:
        """The first environment variable that is needed and not set, or None."""
        return next((spelled(name) for name in ("api_base", "api_key") if getattr(self, name) is None), None)

    @classmethod
    def load(cls, arguments: Mapping[str, Any], environment: Mapping[str, str], files: Iterable[Path] = ()) -> Settings:
        """Take each setting from its argument, else the environment, else the first .env file that has it.

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
    """Return the environment variable of a setting."""
    return str(Settings.__dataclass_fields__[name].metadata["environment"])


def load(**arguments: Any) -> Settings:
    """Load the settings of this process. A .env is searched for upwards from the working directory, then from here."""
    return Settings.load(arguments, os.environ, _files())


def _files() -> Iterable[Path]:
    here = (Path.cwd(), Path(__file__).resolve().parent)
    found = (folder / ".env" for start in here for folder in (start, *start.parents))
    return list(dict.fromkeys(path for path in found if path.is_file()))[:2]


def _dotenv(path: Path) -> Mapping[str, str]:
    from dotenv import dotenv_values  # an app without a .env file need not import it

    return {name: value for name, value in dotenv_values(path).items() if value is not None}
