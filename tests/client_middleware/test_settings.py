"""Settings: by argument, environment or .env; wrong ones name themselves; missing ones switch tracking off."""

from __future__ import annotations

import ast
import logging
import threading
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from client_middleware import Settings, SettingsError, TrackingMiddleware, create_tracking_middleware, settings
from client_middleware.settings import Options, load
from client_middleware.values import PROBES

README = Path(__file__).parents[2] / "client_middleware/README.md"


def test_defaults() -> None:
    """With nothing set every setting has its default, and nothing says where it is from."""
    assert load() == Settings()
    assert load().sources == {}


def test_precedence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An argument wins over the environment, the environment over .env, and each setting knows its source."""
    env = tmp_path / ".env"
    env.write_text("API_BASE=http://from-file\nANALYTICS_API_KEY=file\nANALYTICS_IP=none\n")
    monkeypatch.setenv("ANALYTICS_API_KEY", "environment")
    monkeypatch.setenv("ANALYTICS_IP", "hashed")
    settings = load(ip="full", api_key=None)
    assert (settings.api_base, settings.api_key, settings.ip) == ("http://from-file", "environment", "full")
    assert settings.sources == {"api_base": str(env), "api_key": "environment", "ip": "argument"}


def test_a_dotenv_above(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A .env above the working directory is found, and its other contents do not reach the app's environment."""
    (tmp_path / ".env").write_text("API_BASE=http://above/\nOTHER_SECRET=x\n")
    (tmp_path / "deeper").mkdir()
    monkeypatch.chdir(tmp_path / "deeper")
    assert load().api_base == "http://above"
    import os

    assert "OTHER_SECRET" not in os.environ


def test_two_dotenvs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the nearest .env does not set is taken from the next one above it."""
    (tmp_path / ".env").write_text("API_BASE=http://above\nANALYTICS_API_KEY=above\n")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper/.env").write_text("API_BASE=http://nearer\n")
    monkeypatch.chdir(tmp_path / "deeper")
    assert (load().api_base, load().api_key) == ("http://nearer", "above")


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty environment variable leaves the default."""
    monkeypatch.setenv("ANALYTICS_SAMPLE_RATE", "")
    assert load().sample_rate == 1.0


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("API_BASE", "https://host.example:8443/base/", "https://host.example:8443/base"),
        ("ANALYTICS_TRUSTED_PROXIES", "2", 2),
        ("ANALYTICS_SAMPLE_RATE", "0.25", 0.25),
        ("ANALYTICS_EXCLUDE_PATHS", "/internal/*, /x", ("/internal/*", "/x")),
        ("ANALYTICS_EXCLUDE_PATHS", "probes", PROBES),
        ("ANALYTICS_EXCLUDE_METHODS", "options,HEAD", ("OPTIONS", "HEAD")),
        ("ANALYTICS_CONSUMER", "tenant", "tenant"),
        ("ANALYTICS_USER_AGENT", "yes", True),
        ("ANALYTICS_USER_AGENT", "0", False),
        ("ANALYTICS_RAW_PATH", "unmatched", "unmatched"),
        ("ANALYTICS_FLUSH_SECONDS", "2", 2.0),
        ("ANALYTICS_BATCH_LOGS", "100", 100),
        ("ANALYTICS_LAMBDA_FLUSH", "adaptive", "adaptive"),
    ],
)
def test_from_text(name: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text from the environment is understood."""
    monkeypatch.setenv(name, text)
    setting = next(each.name for each in fields(Settings) if each.metadata.get("environment") == name)
    assert getattr(load(), setting) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("API_BASE", "localhost:3000"),
        ("API_BASE", "ftp://host"),
        ("API_BASE", "http://host:port"),
        ("API_BASE", "http://host/?x=1"),
        ("ANALYTICS_API_KEY", "two words"),
        ("ANALYTICS_IP", "some"),
        ("ANALYTICS_TRUSTED_PROXIES", "-1"),
        ("ANALYTICS_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("ANALYTICS_SAMPLE_RATE", "0"),
        ("ANALYTICS_SAMPLE_RATE", "1.5"),
        ("ANALYTICS_SAMPLE_RATE", "nan"),
        ("ANALYTICS_SAMPLE_RATE", "half"),
        ("ANALYTICS_EXCLUDE_PATHS", "health"),
        ("ANALYTICS_CONSUMER", "not a name"),
        ("ANALYTICS_USER_AGENT", "perhaps"),
        ("ANALYTICS_BATCH_LOGS", "1001"),
        ("ANALYTICS_BATCH_LOGS", "2.5"),
        ("ANALYTICS_LAMBDA_FLUSH", "sometimes"),
    ],
)
def test_a_wrong_one_names_itself(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that can not be used fails where the middleware is made, in one line that names it and its source."""
    monkeypatch.setenv(name, text)
    with pytest.raises(SettingsError) as caught:
        create_tracking_middleware()
    message = str(caught.value)
    assert message.startswith(f"{name} (environment): expected")
    assert "\n" not in message


def test_a_wrong_argument_names_itself() -> None:
    """A wrong argument is called by its name, an unknown one is told which there are."""
    with pytest.raises(
        SettingsError, match=r"^flush_seconds \(argument\): expected a number from 0.05 to 3600, found 0$"
    ):
        create_tracking_middleware(flush_seconds=0)
    unknown: dict[str, Any] = {"flush_secs": 1}
    with pytest.raises(SettingsError, match=r"^unknown setting 'flush_secs'; there are: api_base, api_key, ip,"):
        create_tracking_middleware(**unknown)


def test_an_async_consumer_is_refused() -> None:
    """A consumer callback that could not be called is refused at the start."""

    async def consumer(request: object) -> str:
        return "x"

    wrong: Any = consumer
    with pytest.raises(SettingsError, match="expected a plain function"):
        create_tracking_middleware(consumer=wrong)


def test_a_secret_is_not_shown() -> None:
    """What is wrong with a key or a secret is said without its value."""
    for name, value in (("api_key", "very secret"), ("ip_secret", b"very secret")):
        wrong: Any = {name: value}
        with pytest.raises(SettingsError, match=name) as caught:
            create_tracking_middleware(**wrong)
        assert "very secret" not in str(caught.value)


def test_a_wrong_setting_stops_the_start() -> None:
    """An app with a wrong setting does not start."""
    app = FastAPI()
    app.add_middleware(TrackingMiddleware, sample_rate=7)
    with pytest.raises(SettingsError, match="sample_rate"), TestClient(app):
        pass


@pytest.mark.parametrize(
    ("given", "missing"),
    [({}, "API_BASE"), ({"api_base": "http://127.0.0.1:9"}, "ANALYTICS_API_KEY"), ({"api_key": "k"}, "API_BASE")],
)
def test_a_missing_one_switches_off(given: dict[str, Any], missing: str, caplog: pytest.LogCaptureFixture) -> None:
    """Without API_BASE or a key: one warning, and requests pass with nothing done to them, by no thread."""
    app = FastAPI()
    app.add_middleware(TrackingMiddleware, **given)
    before = ours()
    with TestClient(app) as client:
        for _ in range(5):
            assert client.get("/docs").status_code == 200
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in warnings] == [f"{missing} is not set: requests are not tracked"]
    assert ours() <= before


def ours() -> set[threading.Thread]:
    """The threads that send logs; those of the test client end when they like."""
    return {thread for thread in threading.enumerate() if thread.name == "api-analytics"}


def test_options_are_the_settings() -> None:
    """What type checkers and editors are told of is what there is."""
    known = [each.name for each in fields(Settings) if each.metadata]
    assert list(Options.__annotations__) == [name for name in known if name != "api_key"]


def test_every_setting_is_used() -> None:
    """Each setting is read somewhere in the package, so that none is promised and does nothing."""
    used = {
        node.attr
        for path in Path(settings.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).split(".")[-1].strip("_") == "settings"
    }
    assert [each.name for each in fields(Settings) if each.metadata and each.name not in used] == []


def test_the_readme_has_them_all() -> None:
    """The table in README.md says of every setting its name, variable, unit, default and meaning."""
    expected = []
    for each in fields(Settings):
        if not each.metadata:
            continue
        default = each.metadata["default"] or ("none" if each.default is None else f"`{str(each.default).lower()}`")
        cells = [f"`{each.name}`", f"`{each.metadata['environment']}`", each.metadata["unit"], default]
        expected.append("| " + " | ".join([*cells, each.metadata["meaning"]]) + " |")
    assert "\n".join(expected) in README.read_text()
