"""The doctor finds what is wrong, and each failure says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from typing import Any

import pytest

from client_middleware import settings as configuration
from client_middleware.doctor import Check, examine
from client_middleware.settings import Settings
from tests.client_middleware.conftest import CollectorProcess


def report(**arguments: Any) -> dict[str, Check]:
    """The checks by name."""
    return {check.name: check for check in examine(arguments)}


def test_all_is_well(collector: CollectorProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """With everything right each line is ok, one per question, and one test event is stored."""
    monkeypatch.setenv("API_BASE", collector.url)
    monkeypatch.setenv("ANALYTICS_TRUSTED_PROXIES", "1")
    checks = report(api_key="good")
    assert [name for name, check in checks.items() if not check.fine] == []
    assert list(checks) == [
        *("api_base", "api_key", "trusted_proxies", "settings", "a request", "DNS", "reachability"),
        *("API key", "test event", "round trip", "clock"),
    ]
    assert checks["api_base"].found == f"{collector.url}  (from environment)"
    assert checks["api_key"].found == "…  (from argument)"
    assert checks["a request"].found.endswith("seen from 10.0.0.1, is recorded as /items/{item_id} of 203.0.113.0")
    assert checks["round trip"].found.endswith(" ms")
    assert checks["clock"].found == "agrees with the service's"
    assert [log["endpoint"] for log in collector.logs] == ["/client-middleware-doctor"]


@pytest.mark.parametrize("name", [each.name for each in fields(Settings) if each.metadata])
def test_the_doctor_tells_of_every_setting(name: str) -> None:
    """A setting that is not at its default has a line with its value and where it comes from; secrets are masked."""
    given = {
        "exclude_paths": "/docs",
        "exclude_methods": "HEAD",
        "api_base": "http://127.0.0.1:9",
        "consumer": "tenant",
    }
    value = Settings.__dataclass_fields__[name].default or given.get(name, "1")
    check = report(**{name: value})[name]
    shown = "…" if name in ("api_key", "ip_secret") else getattr(configuration.load(**{name: value}), name)
    assert (check.fine, check.found) == (True, f"{shown}  (from argument)")


def test_nothing_is_set() -> None:
    """Without settings it says which to set, and does not go on to the network."""
    checks = report()
    assert not checks["api_base"].fine
    assert "API_BASE" in checks["api_base"].advice
    assert "ANALYTICS_API_KEY" in checks["api_key"].advice
    assert "reachability" not in checks


def test_a_wrong_setting() -> None:
    """A wrong setting is the only finding."""
    (check,) = report(api_base="nope").values()
    assert (check.fine, check.found[:21]) == (False, "api_base (argument): ")


def test_a_name_that_is_none() -> None:
    """A host that does not resolve is said to be one."""
    checks = report(api_base="http://no-such-host.invalid", api_key="k")
    assert (checks["DNS"].fine, "API_BASE" in checks["DNS"].advice) == (False, True)
    assert "reachability" not in checks


def test_nobody_listens(collector: CollectorProcess) -> None:
    """A service that is not there is said not to be."""
    collector.kill()
    check = report(api_base=collector.url, api_key="good")["reachability"]
    assert (check.fine, "Connection refused" in check.found, "firewall" in check.advice) == (False, True, True)


def test_a_wrong_key(collector: CollectorProcess) -> None:
    """A key that is not accepted is said to be so, and where to get another."""
    checks = report(api_base=collector.url, api_key="wrong")
    assert checks["reachability"].fine
    assert (checks["API key"].fine, "generate_key" in checks["API key"].advice) == (False, True)
    assert "test event" not in checks


def test_a_wrong_path(collector: CollectorProcess) -> None:
    """An address that is answered by something else is said to be."""
    check = report(api_base=f"{collector.url}/docs", api_key="good")["test event"]
    assert (check.fine, "answered 404" in check.found, "API_BASE" in check.advice) == (False, True, True)


@pytest.mark.parametrize(
    ("key", "code", "last"), [("good", 0, "All is well."), ("bad", 1, "Tracking does not work yet.")]
)
def test_the_command(key: str, code: int, last: str, collector: CollectorProcess) -> None:
    """As a command it prints a line for each check, ends with a verdict, and exits accordingly."""
    command = [sys.executable, "-m", "client_middleware", "doctor", "--api-key", key]
    environment = os.environ | {"API_BASE": collector.url}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr, lines[-1]) == (code, "", last)
    assert all(line.startswith(("ok  ", "FAIL", " ")) for line in lines[:-1])
    assert not any(key in line.split() for line in lines)
