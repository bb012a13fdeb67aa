"""Where the Kubernetes API is and who the bot is there: its service account inside a cluster, else a kubeconfig."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kfops.ports.errors import Refused

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True)
class Access:
    """`token` is asked before every call: the cluster renews it. `certificate` is (file, key file) of a client."""

    server: str
    authority: Path | None = None
    token: Callable[[], str | None] = lambda: None
    certificate: tuple[Path, Path] | None = None
    is_verified: bool = True

    def tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authority)
        if self.certificate is not None:
            context.load_cert_chain(*self.certificate)
        if not self.is_verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def find_access(kubeconfig: Path | None, environment: Mapping[str, str] = os.environ) -> Access:
    """The kubeconfig that was named; else the service account of the pod that this runs in; else the user's own
    kubeconfig. Refused when none of them works.
    """
    if kubeconfig is None and environment.get("KUBERNETES_SERVICE_HOST") and _ACCOUNT.is_dir():
        return in_cluster(environment)
    return from_kubeconfig(kubeconfig)


def in_cluster(environment: Mapping[str, str], account: Path = _ACCOUNT) -> Access:
    host, port = environment["KUBERNETES_SERVICE_HOST"], environment.get("KUBERNETES_SERVICE_PORT", "443")
    written = f"[{host}]" if ":" in host else host

    def token() -> str | None:
        return (account / "token").read_text().strip()

    return Access(f"https://{written}:{port}", account / "ca.crt", token)


def from_kubeconfig(path: Path | None) -> Access:
    """Read by the official client, which also knows the plugins that clouds log in with."""
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException, load_kube_config

    found = Configuration()
    try:
        load_kube_config(config_file=str(path) if path else None, client_configuration=found)
    except (ConfigException, OSError) as error:
        raise Refused(
            f"there is no way into the cluster: {error}",
            fix="run the bot in the cluster, or name a kubeconfig with KFOPS_KUBECONFIG",
        ) from error

    def token() -> str | None:
        if found.refresh_api_key_hook is not None:
            found.refresh_api_key_hook(found)
        said = next(
            (found.api_key[key] for key in ("authorization", "BearerToken") if key in found.api_key), ""
        )
        return said.removeprefix("Bearer ") or None

    files = (found.cert_file, found.key_file)
    return Access(
        found.host,
        Path(found.ssl_ca_cert) if found.ssl_ca_cert else None,
        token,
        (Path(files[0]), Path(files[1])) if all(files) else None,
        is_verified=bool(found.verify_ssl),
    )
