"""Changes the environment variables of this process, which come from a developer's shell, to what the handlers need.

With a database on this machine they need none of the shell's AWS settings and no proxy. A DynamoDB elsewhere needs
credentials, and perhaps a proxy.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
import botocore.exceptions

if TYPE_CHECKING:
    from collections.abc import Mapping

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
REGION = {"AWS_DEFAULT_REGION": "us-east-1"}
MADE_UP = CREDENTIALS | REGION
NO_FILES = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


class EnvironmentVariablesError(Exception):
    """The shell's variables, or the files that they name, cannot be used; one sentence."""


def for_own_database() -> None:
    """Replace all AWS settings by made-up ones. The database checks no credentials and must not get real ones."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(MADE_UP | NO_FILES | {"AWS_EC2_METADATA_DISABLED": "true"})
    _use_no_proxy()


def for_database_at(url: str) -> None:
    """Keep the credentials of the shell for the DynamoDB at this URL, or make some up where it has none.

    Only HTTPS to another machine may use a proxy, because a proxy cannot read it. Raises
    EnvironmentVariablesError.
    """
    os.environ.pop("AWS_LAMBDA_FUNCTION_NAME", None)  # with it the handlers would believe that they run on AWS
    if url.startswith("http://") or is_loopback(url):
        _use_no_proxy()
    if (urlsplit(url).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    try:
        session = boto3.session.Session()
        if session.get_credentials() is None:
            os.environ.update(CREDENTIALS)
        if not session.region_name:
            os.environ.update(REGION)
    except botocore.exceptions.BotoCoreError as error:
        raise EnvironmentVariablesError(
            f"the AWS settings of this shell cannot be used: {one_line(error)} (see AWS_PROFILE and AWS_CONFIG_FILE)"
        ) from error


def for_handlers(variables: Mapping[str, str], database: str) -> None:
    """Set the variables of the functions and the URL of their database, over those of the shell and of a profile."""
    os.environ.update(variables)
    os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = database
    os.environ["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "false"


def is_loopback(url: str) -> bool:
    """Whether a URL is on this machine."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def one_line(error: Exception) -> str:
    """The message of an error, in one line."""
    return " ".join(str(error).split())


def _use_no_proxy() -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    os.environ["no_proxy"] = "*"  # also for a proxy in the settings of the system (macOS)
