"""What a registry says of a tag (OCI distribution specification, 1.1)."""

from __future__ import annotations

import re
from http import HTTPStatus

import httpx

from kfops.ports.errors import Refused, Unavailable

_KINDS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_REPOSITORY = re.compile(
    r"(?P<host>[a-zA-Z0-9.-]+(?::\d{1,5})?)/(?P<name>[a-z0-9]+(?:[._/-]{1,2}[a-z0-9]+)*)"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def place(repository: str) -> tuple[str, str]:
    """(host, name). Refused when it is no repository of a registry."""
    match = _REPOSITORY.fullmatch(repository)
    if match is None:
        raise Refused(
            f"{repository!r} is no image repository; expected such as registry.example.com/ml/trainer"
        )
    return match["host"], match["name"]


def digest_of(
    repository: str, tag: str, *, is_plain: bool, credentials: tuple[str, str] | None
) -> str | None:
    """The digest under that tag; None where there is none. `is_plain`: without TLS, for a registry on this machine."""
    host, name = place(repository)
    address = f"{'http' if is_plain else 'https'}://{host}/v2/{name}/manifests/{tag}"
    try:
        answer = httpx.head(
            address, headers={"Accept": ", ".join(_KINDS)}, auth=credentials, timeout=20, trust_env=False
        )
    except httpx.HTTPError as error:
        raise Unavailable(f"the registry {host} did not answer: {type(error).__name__}") from error
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return None
    if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Unavailable(f"the registry {host} answered {answer.status_code}")
    digest = answer.headers.get("Docker-Content-Digest", "")
    if answer.status_code != HTTPStatus.OK or not _DIGEST.fullmatch(digest):
        raise Refused(
            f"the registry {host} answered {answer.status_code} for {name}:{tag}",
            fix="look at the bot's credentials for the registry",
        )
    return str(digest)
