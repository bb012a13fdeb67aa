"""Images built by Jobs: on a real API server, with real buildah and a real registry that wants an account. What a pod would
run is run here, each container with the folders that it would have.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.cluster import node as nodes
from tests.support.cluster.api_server import ADMIN, ApiServer
from tests.support.cluster.node import Node
from tests.support.servers.archives_here import folder_on_the_web
from tests.support.servers.registry import ACCOUNT, running

from kfops.adapters.kubernetes.building.adapter import ClusterImages
from kfops.adapters.kubernetes.building.job import Builder, job
from kfops.adapters.kubernetes.sandbox.job import Place
from kfops.adapters.kubernetes.sandbox.packing import pack
from kfops.adapters.local.sandbox import probe
from kfops.doctor import examine
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.images import ImageBuilt, ImageFailure, ImageOrder
from kfops.settings import Settings

pytestmark = pytest.mark.xdist_group("cluster")
WHY = "no buildah here, or no root to run it: Debian's package buildah has it; .ci/run installs it"
OWN, BUILDAH = "registry.example.com/kfops@sha256:0", "quay.example.com/buildah@sha256:0"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("registry"), is_closed=True) as host:
        yield host


@pytest.fixture(scope="module")
def node(api_server: ApiServer, registry: str) -> Iterator[Node]:
    if shutil.which("buildah") is None or os.geteuid() != 0 or isinstance(probe(), str):
        pytest.skip(WHY)
    with nodes.running(api_server) as made:
        for name, password in (("pushes", ACCOUNT[1]), ("wrong", "guessed")):
            auth = base64.b64encode(f"{ACCOUNT[0]}:{password}".encode()).decode()
            content = json.dumps({"auths": {registry: {"auth": auth}}})
            made.kubernetes.create(
                f"{made.core}/secrets",
                {
                    "metadata": {"name": name},
                    "type": "kubernetes.io/dockerconfigjson",
                    "stringData": {".dockerconfigjson": content},
                },
            )
        yield made


@pytest.fixture(scope="module")
def builder(node: Node) -> Builder:
    place = Place(node.namespace, OWN, starts_within_s=60, account="images")
    return Builder(place, BUILDAH, "pushes", is_plain=True)


@pytest.fixture(scope="module")
def images(api_server: ApiServer, builder: Builder) -> Iterator[ClusterImages]:
    with closing(api_server.client()) as client:
        yield ClusterImages(client, builder, credentials=ACCOUNT, look_every_s=0.05)


def order(folder: Path, registry: str, text: str, tag: str = "c0ffee") -> ImageOrder:
    (folder / "image").mkdir(exist_ok=True)
    (folder / "image" / "train.py").write_text("print('hello')\n")
    (folder / "image" / "Dockerfile").write_text(text)
    return ImageOrder(folder, "image", "Dockerfile", f"{registry}/ml/trainer", tag, owner=7)


def test_an_image_is_built_pushed_and_known_by_its_digest(images, node, registry, tmp_path):
    asked = order(tmp_path, registry, "FROM scratch\nCOPY train.py /\n")
    assert images.find(asked.repository, "c0ffee") is None
    made = images.build(asked)
    assert isinstance(made, ImageBuilt), made

    name, digest = made.reference.split("@")
    assert images.find(name, "c0ffee") == made.reference
    shown = httpx.get(
        f"http://{registry}/v2/ml/trainer/manifests/{digest}",
        headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
        auth=ACCOUNT,
        trust_env=False,
    )
    (layer,) = shown.json()["layers"]
    content = httpx.get(
        f"http://{registry}/v2/ml/trainer/blobs/{layer['digest']}", auth=ACCOUNT, trust_env=False
    )
    assert len(content.content) == layer["size"]
    assert [container for _, container in node.ran] == ["source", "build", "layout", "push"]
    again = images.build(replace(asked, tag="again"))
    assert isinstance(again, ImageBuilt)


def test_r11_only_the_last_container_has_the_registrys_secret_and_no_line_of_the_dockerfile(
    builder, tmp_path, registry
):
    asked = order(tmp_path, registry, "FROM scratch\n")
    spec = pod(asked, builder, tmp_path)
    (secret,) = [one["name"] for one in spec["volumes"] if "secret" in one]
    mounting = [
        one["name"]
        for one in (*spec["initContainers"], *spec["containers"])
        if secret in {mount["name"] for mount in one["volumeMounts"]}
    ]
    assert mounting == ["push"]
    assert ACCOUNT[1] not in json.dumps(spec)
    assert (spec["automountServiceAccountToken"], spec["restartPolicy"]) == (False, "Never")
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & spec.keys()
    for container in (*spec["initContainers"], *spec["containers"]):
        secured = container["securityContext"]
        assert not secured.get("privileged")
        assert secured["readOnlyRootFilesystem"] is True
        assert secured["capabilities"]["drop"] == ["ALL"]
        if container["name"] in {"source", "push"}:
            assert secured["allowPrivilegeEscalation"] is False
            assert "seccompProfile" not in secured  # the pod's own, which is the runtime's


def pod(asked: ImageOrder, builder: Builder, folder: Path) -> dict[str, Any]:
    packed = pack({asked.source_dir: Path("/source")}, folder.with_name(f"{folder.name}.tar.gz"))
    made = job("kfops-image-1", asked, packed, builder, "https://example.com/archive")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import kubernetes_validate

        kubernetes_validate.validate(made, "1.34", strict=True)
    spec: dict[str, Any] = made["spec"]["template"]["spec"]
    return spec


def test_a_dockerfile_that_fails_is_told_with_its_step(images, registry, tmp_path):
    answer = images.build(order(tmp_path, registry, "FROM scratch\nCOPY nothing.txt /\n", tag="bad"))

    assert isinstance(answer, ImageFailure)
    assert answer.summary.startswith("COPY nothing.txt /: ")
    assert "no such file" in answer.summary
    assert images.find(f"{registry}/ml/trainer", "bad") is None


def test_lines_that_run_do_so_without_the_secret(api_server, builder, registry, tmp_path):
    """What the build needs is too large for a ConfigMap: it is fetched."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("no static busybox here: Debian's busybox-static; .ci/run installs it")
    text = 'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "test", "!", "-e", "/kfops-registry"]\n'
    (tmp_path / "repository").mkdir()
    asked = order(tmp_path / "repository", registry, text, tag="ran")
    shutil.copy(busybox, tmp_path / "repository" / "image" / "busybox")
    with closing(api_server.client()) as client, folder_on_the_web(tmp_path / "web") as archives:
        images = ClusterImages(client, builder, archives, credentials=ACCOUNT, look_every_s=0.05)
        assert isinstance(found := images.build(asked), ImageBuilt), found
        assert not list((tmp_path / "web").iterdir())
        with pytest.raises(Refused, match="can be brought"):
            ClusterImages(client, builder, small_bytes=10).build(asked)


def test_a_registry_that_does_not_know_the_secret_is_told_and_asked_again_later(
    api_server, builder, registry, tmp_path
):
    with closing(api_server.client()) as client:
        wrong = replace(builder, secret="wrong")
        images = ClusterImages(client, wrong, credentials=ACCOUNT, look_every_s=0.05)
        with pytest.raises(Unavailable, match="could not be pushed: the registry answered 401"):
            images.build(order(tmp_path, registry, "FROM scratch\nCOPY train.py /\n", tag="refused"))


@pytest.mark.parametrize(
    ("token", "builder_image", "words"),
    [(ADMIN, BUILDAH, ""), ("a stranger's", BUILDAH, "401"), (ADMIN, "", "KFOPS_IMAGES_BUILDER")],
    ids=["well", "a stranger", "no builder"],
)
def test_the_doctor_looks_whether_images_can_be_built(
    api_server, node, tmp_path, token, builder_image, words
):
    settings = Settings(
        data_dir=tmp_path / "bot",
        images="kubernetes",
        images_namespace=node.namespace,
        images_builder=builder_image,
        sandbox_image=OWN,
        kubeconfig=api_server.kubeconfig(tmp_path / "config", token),
    )
    found = next(one for one in examine(settings) if one.what == "images")
    assert words in found.problem
    assert bool(found.problem) is bool(words)


@pytest.mark.parametrize(
    ("more", "words"), [({"context": "../.."}, "a path in"), ({"context": "x"}, "no folder x")]
)
def test_places_that_kfops_yaml_names_wrongly_are_told_before_anything_is_made(
    images, node, registry, tmp_path, more, words
):
    before = len(node.documents)
    answer = images.build(replace(order(tmp_path, registry, "FROM scratch\n"), **more))

    assert isinstance(answer, ImageFailure)
    assert words in answer.summary
    assert len(node.documents) == before
