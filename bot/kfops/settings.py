"""The operator's settings, from `KFOPS_…` variables. Nothing here comes from a repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _elsewhere(variable: str) -> Any:
    return Field(default=SecretStr(""), validation_alias=variable)


def _password(address: str) -> str:
    try:
        return unquote(urlsplit(address).password or "")
    except ValueError:  # no address at all
        return ""


class Settings(BaseSettings):
    """One machine needs only a forge, a secret and a data folder; the rest has defaults."""

    model_config = SettingsConfigDict(env_prefix="KFOPS_", extra="ignore")

    data_dir: Path = Path("var")
    host: str = "127.0.0.1"
    port: int = 8080
    database_url: str = ""  # postgresql://…, for several replicas; empty: SQLite in the data folder

    forge_url: str = "https://api.github.com"
    forge_token: SecretStr | None = None
    app_id: int | None = None
    app_key_file: Path | None = None
    webhook_secrets: list[SecretStr] = Field(
        default_factory=list
    )  # the first signs; the others are being rotated out

    public_url: str = ""  # where people reach the bot; empty: no dashboard
    oauth_client_id: str = ""
    oauth_client_secret: SecretStr | None = None

    mlflow_url: str = ""  # a tracking server of the operator's; empty: one of the bot's own, beside its data
    mlflow_public_url: str = ""  # where people reach its pages, where that is elsewhere
    mlflow_username: str = ""
    mlflow_password: SecretStr = SecretStr("")

    policy_file: Path | None = None
    sandbox: Literal["bubblewrap", "kubernetes", "none"] = "bubblewrap"
    sandbox_namespace: str = "kfops-sandbox"  # of the Jobs, where it is kubernetes
    sandbox_image: str = ""  # that they run: the bot's own, best by digest
    sandbox_starts_within_s: float = Field(
        default=300.0, gt=0
    )  # for a node to be found and the image to be pulled
    install: bool = False  # whether environments are made from repositories' requirements
    index_url: SecretStr = SecretStr(
        ""
    )  # the one index that they come from; empty: as pip is configured here
    pipelines: Literal["local", "kubeflow"] = "local"
    kubeflow_url: str = ""  # of its API
    kubeflow_ui_url: str = ""  # of its pages, where they are elsewhere
    kubeflow_namespace: str = "kubeflow"
    kubeflow_token: SecretStr = SecretStr("")
    kubeflow_service_account: str = ""  # what steps run under; the operator's
    kubeconfig: Path | None = None  # none: the pod's own service account, or the user's kubeconfig
    serving: Literal["local", "kserve"] = "local"
    kserve_mode: Literal["", "Knative", "Standard"] = ""  # of new services; empty: KServe's own default
    kserve_version: str = ""  # such as 0.21; empty: read from KServe's controller
    kserve_system_namespace: str = "kserve"  # where KServe itself runs
    kserve_service_account: str = ""  # that may read the models; the operator's
    kserve_ingress: str = ""  # where the bot asks a candidate; empty: at its address within the cluster
    prometheus_url: str = ""  # where requests are counted; empty: nowhere, and rollouts replay or ask
    prometheus_token: SecretStr = SecretStr("")
    prometheus_metrics: Literal["", "knative", "knative-otel", "istio"] = ""  # empty: what the mode uses
    storage: Literal["local", "s3"] = "local"  # where models are kept
    s3_address: str = ""  # s3://bucket/prefix/
    s3_endpoint: str = ""  # empty: AWS
    images: Literal["none", "buildah", "kubernetes"] = "none"  # what builds images.build
    images_namespace: str = "kfops-images"  # of the Jobs, where it is kubernetes
    images_builder: str = ""  # the image that has buildah there, best by digest
    images_credentials: str = (
        ""  # the Secret beside them that may push, of type kubernetes.io/dockerconfigjson
    )
    registry_user: str = ""
    registry_password: SecretStr = SecretStr("")
    registry_plain: bool = False  # without TLS, for a registry on this machine
    workers: int = 4
    max_runs: int = 2
    keep_days: int = Field(
        default=30, ge=1
    )  # how long runs, checkouts, models and environments stay unneeded
    keep_runs: int = Field(default=200, ge=1)  # and how many of each at most

    # What libraries and programs that the bot works with read for themselves: known here only to be masked.
    aws_secret: SecretStr = _elsewhere("AWS_SECRET_ACCESS_KEY")
    aws_session: SecretStr = _elsewhere("AWS_SESSION_TOKEN")
    aws_container: SecretStr = _elsewhere("AWS_CONTAINER_AUTHORIZATION_TOKEN")
    mlflow_tracking_password: SecretStr = _elsewhere("MLFLOW_TRACKING_PASSWORD")
    mlflow_tracking_token: SecretStr = _elsewhere("MLFLOW_TRACKING_TOKEN")
    postgres_password: SecretStr = _elsewhere("PGPASSWORD")
    pip_index: str = Field(default="", validation_alias="PIP_INDEX_URL")
    pip_other_indexes: str = Field(default="", validation_alias="PIP_EXTRA_INDEX_URL")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no reply may show (R15): every secret, and every password within an address."""
        values = [one for kept in vars(self).values() for one in (kept if isinstance(kept, list) else [kept])]
        hidden = [one.get_secret_value() for one in values if isinstance(one, SecretStr)]
        words = [word for one in (*hidden, *values) if isinstance(one, str) for word in one.split()]
        return tuple(one for one in (*hidden, *map(_password, words)) if one)

    @property
    def ledger_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'ledger.db'}"
