"""What runs as Jobs on a Kubernetes cluster: the sandbox, and images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kfops.bootstrap.keeping import bucket
from kfops.bootstrap.problem import SettingsProblem
from kfops.ports.errors import Refused

if TYPE_CHECKING:
    from kfops.adapters.kubernetes.building.adapter import ClusterImages
    from kfops.adapters.kubernetes.client import Kubernetes
    from kfops.adapters.kubernetes.sandbox.adapter import SandboxJobs
    from kfops.adapters.kubernetes.sandbox.job import Place
    from kfops.adapters.s3.archives import S3Archives
    from kfops.settings import Settings


def sandbox_jobs(settings: Settings) -> SandboxJobs:
    from kfops.adapters.kubernetes.sandbox.adapter import SandboxJobs

    place = _place(settings, "KFOPS_SANDBOX", settings.sandbox_namespace)
    return SandboxJobs(_kubernetes(settings, "KFOPS_SANDBOX"), place, _archives(settings))


def image_jobs(settings: Settings) -> ClusterImages:
    from kfops.adapters.kubernetes.building.adapter import ClusterImages
    from kfops.adapters.kubernetes.building.job import Builder

    if not settings.images_builder:
        raise SettingsProblem("KFOPS_IMAGES_BUILDER is missing: the image that has buildah, best by digest")
    place = replace(_place(settings, "KFOPS_IMAGES", settings.images_namespace), account="images")
    secret = settings.registry_password.get_secret_value()
    return ClusterImages(
        _kubernetes(settings, "KFOPS_IMAGES"),
        Builder(place, settings.images_builder, settings.images_credentials, settings.registry_plain),
        _archives(settings),
        credentials=(settings.registry_user, secret) if settings.registry_user else None,
    )


def _place(settings: Settings, what: str, namespace: str) -> Place:
    from kfops.adapters.kubernetes.sandbox.job import Place

    if not settings.sandbox_image:
        raise SettingsProblem(
            f"KFOPS_SANDBOX_IMAGE is missing: the image that Jobs run with {what}=kubernetes, which is the bot's own"
        )
    return Place(namespace, settings.sandbox_image, settings.sandbox_starts_within_s)


def _kubernetes(settings: Settings, what: str) -> Kubernetes:
    from kfops.adapters.kubernetes.access import find_access
    from kfops.adapters.kubernetes.client import Kubernetes

    try:
        return Kubernetes(find_access(settings.kubeconfig))
    except Refused as error:
        raise SettingsProblem(f"{what}=kubernetes: {error}; {error.fix}") from error


def _archives(settings: Settings) -> S3Archives | None:
    from kfops.adapters.s3.archives import S3Archives

    return S3Archives(bucket(settings)) if settings.storage == "s3" else None
