"""Images with real buildah and a real registry: by digest, once a commit, and what is said when a Dockerfile is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from base64 import b64encode
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.support.processes import processes_with
from tests.support.servers.registry import running

from kfops.adapters.buildah.images import BuildahImages
from kfops.adapters.local.pipelines.compiling import Compiler
from kfops.adapters.local.sandbox import NoSandbox, probe
from kfops.bootstrap import machine
from kfops.bootstrap.problem import SettingsProblem
from kfops.domain.package import Package
from kfops.domain.package_ir import read_package
from kfops.domain.package_policy import Allowed
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.images import ImageBuilt, ImageFailure, ImageOrder
from kfops.ports.pipelines import CompileOrder
from kfops.settings import Settings

pytestmark = pytest.mark.xdist_group("images")
WHY = "no buildah here, or no root to run it: Debian's package buildah has it; .ci/run installs it"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    if shutil.which("buildah") is None or os.geteuid() != 0:
        pytest.skip(WHY)
    found = probe()
    if isinstance(found, str):
        pytest.skip(f"no sandbox starts here: {found}")
    return BuildahImages(tmp_path_factory.mktemp("layers"), is_plain=True, bwrap=found.bwrap)


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with running(tmp_path_factory.mktemp("registry")) as host:
        yield host


def order(folder: Path, registry: str, text: str, tag: str = "c0ffee", **more: object) -> ImageOrder:
    (folder / "image").mkdir(exist_ok=True)
    (folder / "image" / "train.py").write_text("print('hello')\n")
    (folder / "image" / "Dockerfile").write_text(text)
    made = {
        "context": "image",
        "dockerfile": "Dockerfile",
        "repository": f"{registry}/ml/trainer",
        "owner": 7,
    } | more
    return ImageOrder(folder, tag=tag, **made)


def built(answer: ImageBuilt | ImageFailure) -> ImageBuilt:
    assert isinstance(answer, ImageBuilt), answer
    return answer


def test_an_image_is_built_pushed_and_known_by_its_digest(images, registry, tmp_path):
    found = built(images.build(order(tmp_path, registry, "FROM scratch\nCOPY train.py /\n")))

    name, digest = found.reference.split("@")
    assert name == f"{registry}/ml/trainer"
    assert images.find(name, "c0ffee") == found.reference
    shown = httpx.get(
        f"http://{registry}/v2/ml/trainer/manifests/{digest}",
        headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
        trust_env=False,
    )
    assert len(shown.json()["layers"]) == 1


def test_the_same_files_make_the_same_digest_and_other_files_another(images, registry, tmp_path):
    text = "FROM scratch\nCOPY train.py /\n"
    first = built(images.build(order(tmp_path, registry, text))).reference
    again = built(images.build(order(tmp_path, registry, text))).reference
    other = built(images.build(order(tmp_path, registry, text + "COPY Dockerfile /\n"))).reference

    assert first == again != other


def test_what_was_never_pushed_is_not_found(images, registry):
    assert images.find(f"{registry}/ml/trainer", "never") is None
    assert images.find(f"{registry}/ml/nothing", "c0ffee") is None


def test_a_dockerfile_that_fails_is_told_with_its_step(images, registry, tmp_path):
    answer = images.build(order(tmp_path, registry, "FROM scratch\nCOPY nothing.txt /\n", tag="bad"))

    assert isinstance(answer, ImageFailure)
    assert answer.summary.startswith("COPY nothing.txt /: ")
    assert "no such file" in answer.summary
    assert str(tmp_path) not in answer.summary.partition(": ")[0]
    assert images.find(f"{registry}/ml/trainer", "bad") is None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"context": "nowhere"}, "no folder nowhere"),
        ({"dockerfile": "Containerfile"}, "no file Containerfile"),
        ({"context": "../.."}, "a path in the repository"),
        ({"dockerfile": "/etc/passwd"}, "a path in the repository"),
    ],
)
def test_places_that_kfops_yaml_names_wrongly_are_told(images, registry, tmp_path, more, words):
    answer = images.build(order(tmp_path, registry, "FROM scratch\n", **more))

    assert isinstance(answer, ImageFailure)
    assert words in answer.summary


def test_r11_a_dockerfile_that_is_a_link_is_not_followed(images, registry, tmp_path):
    asked = order(tmp_path, registry, "FROM scratch\n")
    (tmp_path / "image" / "Dockerfile").unlink()
    (tmp_path / "image" / "Dockerfile").symlink_to("/etc/hostname")

    answer = images.build(asked)
    assert isinstance(answer, ImageFailure)
    assert "no file Dockerfile" in answer.summary


def test_r11_a_context_that_is_a_link_out_of_the_repository_is_not_followed(images, registry, tmp_path):
    asked = order(tmp_path, registry, "FROM scratch\n")
    outside = tmp_path.with_name(f"{tmp_path.name}-outside")
    (tmp_path / "image").rename(outside)
    (tmp_path / "image").symlink_to(outside)

    assert isinstance(images.build(asked), ImageFailure)


def test_r11_a_dockerfile_that_a_preprocessor_would_fill_with_the_bots_files_is_refused(
    images, registry, tmp_path
):
    secret = tmp_path / "secret"
    secret.write_text("LABEL secret=of-the-bot\n")
    asked = order(tmp_path, registry, "FROM scratch\n", dockerfile="Dockerfile.in")
    (tmp_path / "image" / "Dockerfile.in").write_text(f'FROM scratch\n#include "{secret}"\n')

    answer = images.build(asked)
    assert isinstance(answer, ImageFailure)
    assert "dockerfile is 'Dockerfile.in'; expected a file that needs no preprocessor" in answer.summary


def test_r13_images_and_layers_of_another_repositorys_builds_are_not_found(images, tmp_path):
    """Nobody answers at that registry: what is there is there by an earlier build."""
    nowhere = "127.0.0.1:9"

    def build(text: str, tag: str, owner: int) -> ImageBuilt | ImageFailure:
        return images.build(order(tmp_path, nowhere, text, tag=tag, owner=owner))

    on_top = f"FROM {nowhere}/ml/trainer:mine\nCOPY Dockerfile /\n"
    with pytest.raises(Unavailable, match="was built and could not be pushed"):
        build("FROM scratch\nCOPY train.py /\n", "mine", 1)
    with pytest.raises(Unavailable, match="was built and could not be pushed"):
        build(on_top, "own", 1)

    assert isinstance(build(on_top, "foreign", 2), ImageFailure)


@pytest.mark.parametrize(
    "place",
    ["dir:{dir}", "oci:{oci}", "containers-storage:[{store}]{name}"],
    ids=["folder", "layout", "store"],
)
def test_r13_a_build_begins_with_no_image_that_lies_on_this_machine(images, registry, tmp_path, place):
    """Named by its place, each of them is there for buildah to read."""
    text = "FROM scratch\nCOPY train.py /\n"
    built(images.build(order(tmp_path, registry, text, tag="theirs", owner=3)))
    name, theirs = f"{registry}/ml/trainer:theirs", images.root / "3" / "storage"
    for kind in ("dir", "oci"):
        push = ["buildah", "--root", str(theirs), "--runroot", str(tmp_path / "run"), "push", name]
        subprocess.run([*push, f"{kind}:{tmp_path / kind}"], check=True, capture_output=True)
    driver = "overlay" if (theirs / "overlay-images").is_dir() else "vfs"
    found = place.format(
        dir=tmp_path / "dir",
        oci=tmp_path / "oci",
        store=f"{driver}@{theirs}+{tmp_path / 'run'}",
        name=name,
    )

    ours = order(tmp_path, registry, f"FROM {found}\nCOPY Dockerfile /\n", owner=4)
    assert isinstance(images.build(ours), ImageFailure)
    answer = replace(images, bwrap=None).build(ours)
    assert isinstance(answer, ImageFailure)
    assert "rejected by policy" in answer.summary


@pytest.fixture
def busybox(tmp_path) -> None:
    """In the build's context."""
    program = shutil.which("busybox")
    if program is None:
        pytest.skip(
            "no static busybox here to make a base image from: Debian's busybox-static; .ci/run installs it"
        )
    (tmp_path / "image").mkdir()
    shutil.copy(program, tmp_path / "image" / "busybox")


@pytest.mark.usefixtures("busybox")
def test_r11_a_dockerfile_that_mounts_the_machine_by_a_link_sees_the_system_and_none_of_its_files(
    images, registry, tmp_path
):
    (tmp_path / "secret").write_text("of the bot's\n")
    sh = '"/bin/busybox", "sh", "-c"'
    text = (
        "FROM scratch AS base\nCOPY busybox /bin/busybox\n"
        'FROM base AS link\nRUN ["/bin/busybox", "ln", "-s", "/", "/link"]\n'
        "FROM base\n"
        f'RUN --mount=type=bind,from=link,source=/link,target=/all [{sh}, "test ! -e /all{tmp_path}/secret"]\n'
        f'RUN [{sh}, "test ! -e /proc/{os.getpid()}"]\n'
        f'RUN [{sh}, "test -z \\"$(/bin/busybox find /dev -type b)\\""]\n'
    )

    built(images.build(order(tmp_path, registry, text, tag="link")))


def test_r11_builds_are_confined_unless_the_operator_wants_no_sandbox(images, tmp_path, monkeypatch):
    def chosen(**more: object) -> BuildahImages:
        return machine.images(Settings(data_dir=tmp_path, images="buildah", **more))

    assert chosen().bwrap == images.bwrap
    assert chosen(sandbox="none").bwrap is None

    monkeypatch.setattr("kfops.adapters.local.sandbox.probe", lambda: "bubblewrap is not there")
    with pytest.raises(
        SettingsProblem, match="KFOPS_IMAGES=buildah builds in a sandbox, and bubblewrap is not"
    ):
        chosen()


def test_without_a_sandbox_an_image_is_built_all_the_same(images, registry, tmp_path):
    text = "FROM scratch\nCOPY train.py /\n"

    inside, outside = (
        built(one.build(order(tmp_path, registry, text, tag="where", owner=owner)))
        for one, owner in ((images, 5), (replace(images, bwrap=None), 6))
    )

    assert inside.reference == outside.reference


@pytest.mark.usefixtures("busybox")
def test_a_build_that_takes_too_long_is_ended_with_all_that_it_started(images, registry, tmp_path):
    text = 'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "sleep", "4711"]\n'
    began = time.monotonic()
    answer = images.build(order(tmp_path, registry, text, tag="slow", timeout_s=3.0))

    assert isinstance(answer, ImageFailure)
    assert answer.summary == "it took longer than 3 s"
    assert time.monotonic() - began < 30
    deadline = time.monotonic() + 5  # what was killed is gone when the kernel gets to it
    while left := processes_with("4711"):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
    assert str(images.root) not in Path("/proc/mounts").read_text()

    listed = images.root / "7" / "storage" / "overlay-containers" / "containers.json"
    assert json.loads(listed.read_text()) == []


@pytest.mark.parametrize(
    "repository", ["", "trainer", "registry/UPPER", "a b/c", "registry.example.com/--flag"]
)
def test_r4_a_repository_that_is_none_is_refused(images, tmp_path, repository):
    with pytest.raises(Refused, match=r"such as registry\.example\.com"):
        images.build(order(tmp_path, "x", "FROM scratch\n", repository=repository))


@pytest.mark.parametrize("tag", ["", "-flag", "a b", "x" * 129])
def test_r4_a_tag_that_is_none_is_refused(images, registry, tmp_path, tag):
    with pytest.raises(Refused, match="no tag"):
        images.build(order(tmp_path, registry, "FROM scratch\n", tag=tag))


def test_a_registry_that_is_away_is_asked_again_later(images, tmp_path):
    with pytest.raises(Unavailable):
        images.find("127.0.0.1:9/ml/trainer", "c0ffee")
    with pytest.raises(Unavailable, match="could not be pushed"):
        images.build(order(tmp_path, "127.0.0.1:9", "FROM scratch\nCOPY train.py /\n"))


class TokenRegistry(BaseHTTPRequestHandler):
    """As GHCR and Docker Hub do it: whoever comes without a token is sent to where they are given."""

    def do_HEAD(self) -> None:
        if self.headers["Authorization"] == "Bearer for ml/trainer":
            self.send_response(200)
            self.send_header("Docker-Content-Digest", f"sha256:{'a' * 64}")
        else:
            self.send_response(401)
            realm = f"http://{self.headers['Host']}/token"
            self.send_header("WWW-Authenticate", f'Bearer realm="{realm}",service="it"')
        self.end_headers()

    def do_GET(self) -> None:
        known = self.headers["Authorization"] == f"Basic {b64encode(b'bot:right').decode()}"
        scope = parse_qs(urlsplit(self.path).query)["scope"][0]
        said = {"token": "for ml/trainer"} if known and scope == "repository:ml/trainer:pull" else {}
        self.send_response(200 if said else 401)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    def log_message(self, *_: object) -> None:
        pass


def test_a_registry_that_gives_tokens_is_asked_with_one(tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), TokenRegistry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        name = f"127.0.0.1:{server.server_port}/ml/trainer"
        mine = BuildahImages(tmp_path, is_plain=True, credentials=("bot", "right"))
        assert mine.find(name, "c0ffee") == f"{name}@sha256:{'a' * 64}"
        others = BuildahImages(tmp_path, is_plain=True, credentials=("bot", "wrong"))
        with pytest.raises(Refused, match="answered 401"):
            others.find(name, "c0ffee")
        server.shutdown()


PIPELINE = """
import os

from kfp import dsl

@dsl.component(base_image=os.environ["KFOPS_IMAGE_THE_TRAINER"], install_kfp_package=False)
def train():
    print("in an image of its own")

@dsl.pipeline(name="churn")
def churn():
    train()
"""


def test_the_digest_that_was_built_is_what_the_submitted_package_names(images, registry, tmp_path):
    reference = built(images.build(order(tmp_path, registry, "FROM scratch\nCOPY train.py /\n"))).reference
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    compiled = Compiler(NoSandbox(), Allowed()).compile(
        CompileOrder(tmp_path, "pipeline.py", tmp_path / "out", images={"the-trainer": reference})
    )

    assert isinstance(compiled, Package), compiled
    assert [step.image for step in read_package(compiled.path.read_text()).steps] == [reference]
