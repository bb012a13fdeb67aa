"""What a registry says of a tag (OCI distribution specification, 1.1; Docker's token authentication)."""

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
_WORD = re.compile(r'(\w+)="([^"]*)"')
_WITHIN_S = 20
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
    accepted = {"Accept": ", ".join(_KINDS)}
    try:
        answer = httpx.head(address, headers=accepted, auth=credentials, timeout=_WITHIN_S, trust_env=False)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            token = _token(answer.headers.get("WWW-Authenticate", ""), name, credentials)
            if token:
                accepted["Authorization"] = f"Bearer {token}"
                answer = httpx.head(address, headers=accepted, timeout=_WITHIN_S, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
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


def _token(challenge: str, name: str, credentials: tuple[str, str] | None) -> str:
    """From where the registry sends whoever asks without one; empty where it names no such place, or that says no."""
    scheme, _, rest = challenge.partition(" ")
    words = dict(_WORD.findall(rest))
    if scheme.lower() != "bearer" or "realm" not in words:
        return ""
    asked = {"service": words.get("service", ""), "scope": f"repository:{name}:pull"}
    answer = httpx.get(words["realm"], params=asked, auth=credentials, timeout=_WITHIN_S, trust_env=False)
    try:
        said = answer.json()
        return str(said.get("token") or said.get("access_token") or "")
    except (ValueError, AttributeError):
        return ""
