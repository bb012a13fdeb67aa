"""The sandbox as Jobs, on a real API server; what a pod would run is run by the local sandbox."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.cluster import node as nodes
from tests.support.cluster.api_server import ApiServer
from tests.support.cluster.node import Node
from tests.support.served_models import BROKEN, PIPELINE
from tests.support.servers.archives_here import folder_on_the_web

from kfops import doctor
from kfops.adapters.kubernetes.client import Kubernetes
from kfops.adapters.kubernetes.sandbox.adapter import SandboxJobs
from kfops.adapters.kubernetes.sandbox.bringing import Bringing
from kfops.adapters.kubernetes.sandbox.job import FETCHES, Place, job
from kfops.adapters.kubernetes.sandbox.packing import pack
from kfops.adapters.local.confined import Ended
from kfops.adapters.local.confinement import Limits
from kfops.adapters.local.sandbox import probe
from kfops.adapters.local.scoring.adapter import LocalScoring
from kfops.adapters.local.short_work import ShortWork
from kfops.bootstrap import engines, machine
from kfops.bootstrap.problem import SettingsProblem
from kfops.domain.evidence import Comparison
from kfops.ports.errors import Refused, Unavailable
from kfops.settings import Settings

pytestmark = pytest.mark.xdist_group("cluster")
IMAGE = "registry.example.com/kfops@sha256:" + "0" * 64


@pytest.fixture
def node(api_server: ApiServer) -> Iterator[Node]:
    if isinstance(found := probe(), str):
        pytest.skip(found)
    with nodes.running(api_server) as made:
        yield made


@pytest.fixture
def room(api_server: ApiServer, node: Node) -> Iterator[SandboxJobs]:
    with closing(api_server.client()) as client:
        yield SandboxJobs(client, Place(node.namespace, IMAGE, starts_within_s=20), look_every_s=0.05)


HOSTILE = """
import json, os, socket
got = []
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_PACKET, socket.AF_NETLINK):
    try:
        socket.socket(family, socket.SOCK_DGRAM)
        got.append(str(family))
    except OSError:
        pass
socket.socketpair()
for path in ("environ", "mem", "fd/1", "fd/2", "cwd/."):
    try:
        open(f"/proc/{os.getppid()}/{path}", "rb" if path == "environ" else "ab")
        got.append(path)
    except OSError:
        pass
for path in ("/made", "/tools/made", "/kfops-job/made"):
    try:
        open(path, "w")
        got.append(path)
    except OSError:
        pass
got += [place for place in ("/var/run/secrets", "/run/secrets") if os.path.exists(place)]
print(json.dumps({"got": got, "environment": sorted(os.environ)}))
"""


class Dying(Kubernetes):
    """The client of a bot that dies when it has made a Job."""

    is_dead = False

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self.is_dead |= path.endswith("/configmaps")
        return super().create(path, body)

    def _send(self, *words: Any, **more: Any) -> httpx.Response:
        if self.is_dead:
            raise Unavailable("dead")
        return super()._send(*words, **more)


def until(is_so: Callable[[], object], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.03)


def work(folder: Path, text: str, **more: object) -> ShortWork:
    folder.mkdir(exist_ok=True)
    (folder / "tool.py").write_text(text)
    made = {
        "purpose": "probe",
        "command": ("python", "-I", "-S", "/tools/tool.py"),
        "read_only": {folder: Path("/tools")},
        "chdir": Path("/"),
        "limits": Limits(memory_bytes=1 << 30, file_bytes=1 << 20),
        "timeout_s": 20.0,
        "largest_answer": 1 << 20,
    }
    return ShortWork(**(made | more))


def done(room: SandboxJobs, one: ShortWork, said: bytes = b"") -> Ended:
    with room.start(one) as running:
        return running.finish(said)


def test_work_is_done_and_its_answer_comes_back_and_nothing_is_left(room, node, tmp_path):
    text = "import sys\nprint('{\"x\": 1}')\nprint('words', file=sys.stderr)\n"
    ended = done(room, work(tmp_path / "a", text))

    assert (ended.code, ended.answer, ended.log_tail, ended.stopped) == (0, {"x": 1}, "words\n", "")
    left = [room.jobs.place.jobs, room.jobs.place.pods, room.jobs.place.config_maps]
    until(lambda: not any(map(room.jobs.kubernetes.list, left)))


def test_r11_the_pod_has_no_token_no_rights_and_an_end(room, node, tmp_path):
    """As the API server took it; what the tests' server is too old for is held against newer schemas."""
    done(room, work(tmp_path / "a", ""))
    (job,) = node.documents
    spec, pod = job["spec"], job["spec"]["template"]["spec"]

    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 40)
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == "sandbox"
    assert (pod["restartPolicy"], pod["enableServiceLinks"]) == ("Never", False)
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] >= 100_000
    assert {kind for volume in pod["volumes"] for kind in volume} == {"name", "configMap", "emptyDir"}
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"].keys() == {"cpu", "memory", "ephemeral-storage"}
        assert "env" not in container
    writable = [one["mountPath"] for one in pod["containers"][0]["volumeMounts"] if not one.get("readOnly")]
    assert writable == ["/tmp"]


@pytest.mark.parametrize("version", ["1.30", "1.34"])
def test_the_job_fits_newer_kubernetes_too(tmp_path, version):
    one = work(tmp_path / "a", "")
    packed = pack(one.read_only, tmp_path / "archive")
    made = job("kfops-probe-1", one, packed, Place("kfops-sandbox", IMAGE), "https://example.com/a")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import kubernetes_validate

        kubernetes_validate.validate(made, version, strict=True)
    assert made["spec"]["ttlSecondsAfterFinished"] == 600


def test_r11_the_code_has_no_network_and_cannot_speak_for_the_one_who_reports(room, tmp_path):
    ended = done(room, work(tmp_path / "a", HOSTILE))

    assert ended.answer is not None, ended
    assert ended.answer["got"] == []
    assert ended.answer["environment"] == [
        *("HOME", "LANG", "MALLOC_ARENA_MAX", "PATH", "PYTHONDONTWRITEBYTECODE", "USER")
    ]


def test_what_it_is_told_arrives(room, tmp_path):
    text = "import sys\nprint('{\"heard\": %d}' % len(sys.stdin.read()))\n"
    ended = done(room, work(tmp_path / "a", text, is_told=True), b"x" * 300_000)

    assert ended.answer == {"heard": 300_000}


def test_the_same_work_asked_for_twice_is_one_job(room, node, tmp_path):
    one = work(tmp_path / "a", "print('{}')\n")
    with room.start(one) as first, room.start(one) as second:
        assert first.finish().answer == second.finish().answer == {}

    assert len(node.documents) == 1
    done(room, work(tmp_path / "b", "print('{ }')\n"))
    assert len({document["metadata"]["name"] for document in node.documents}) == 2


def test_a_bot_that_died_finds_its_job_again(api_server, room, node, tmp_path):
    """Between the Job and what it starts from, where a pod can only wait."""
    one = work(tmp_path / "a", "print('{\"x\": 2}')\n")
    with closing(Dying(api_server.access())) as client, pytest.raises(Unavailable, match="dead"):
        SandboxJobs(client, room.jobs.place).start(one)
    assert [found["metadata"]["name"] for found in room.jobs.kubernetes.list(room.jobs.place.jobs)]

    assert done(room, one).answer == {"x": 2}
    assert len(node.documents) == 1


def test_a_job_that_somebody_takes_away_is_made_again(room, node, tmp_path):
    node.hides = True
    with room.start(work(tmp_path / "a", "print('{\"x\": 3}')\n")) as running:
        until(lambda: node.documents)
        node.hides = False
        room.jobs.kubernetes.delete(
            f"{room.jobs.place.jobs}/{node.documents[0]['metadata']['name']}", uid=None, is_last=True
        )
        assert running.finish().answer == {"x": 3}
    assert len(node.documents) == 2


def test_an_end_without_a_report_is_told_as_one(room, tmp_path):
    ended = done(room, work(tmp_path / "a", "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n"))

    assert ended.answer is None
    assert "gave no answer: its report is not there" in ended.stopped


def test_r11_an_answer_that_is_too_large_is_not_taken(room, tmp_path):
    ended = done(room, work(tmp_path / "a", "print('x' * 3000)\n", largest_answer=2000))

    assert (ended.answer, ended.stopped) == (None, "its answer has more than 2000 bytes")


def test_code_that_takes_too_long_is_ended_and_its_words_are_kept(room, tmp_path):
    text = "import time\nprint('asleep', file=__import__('sys').stderr, flush=True)\ntime.sleep(100)\n"
    ended = done(room, work(tmp_path / "a", text, timeout_s=0.5))

    assert (ended.code, ended.answer, ended.log_tail) == (None, None, "asleep\n")


def state_of(main: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    named = {"name": "work", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
    return more | ({"containerStatuses": [named | {"state": main}]} if main else {})


def waiting(reason: str) -> dict[str, Any]:
    return state_of({"waiting": {"reason": reason, "message": "because"}}, phase="Pending")


def evicted(message: str) -> dict[str, Any]:
    return {"phase": "Failed", "reason": "Evicted", "message": message}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (
            state_of({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}, phase="Failed"),
            "1 GiB of memory",
        ),
        (evicted('Usage of EmptyDir volume "scratch" exceeds the limit "1Mi".'), "wrote more than it may"),
    ],
    ids=["memory", "disk"],
)
def test_what_the_code_took_too_much_of_is_its_end(room, node, tmp_path, status, words):
    node.instead = status
    assert words in done(room, work(tmp_path / "a", "")).stopped


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (waiting("ImagePullBackOff"), "pod cannot be pulled: ImagePullBackOff: because", Unavailable),
        (waiting("InvalidImageName"), "does not run the sandbox's pod: InvalidImageName", Refused),
        (waiting("CreateContainerConfigError"), "does not run the sandbox's pod", Refused),
        (evicted("The node was low on resource: memory."), "evicted from its node", Unavailable),
    ],
    ids=["image", "image name", "configuration", "node"],
)
def test_what_the_cluster_did_is_told_apart_from_what_the_code_did(room, node, tmp_path, status, words, kind):
    node.instead = status
    with pytest.raises(kind, match=re.escape(words)):
        done(room, work(tmp_path / "a", ""))


def test_a_pod_that_finds_no_node_until_the_deadline_is_told_with_the_schedulers_words(
    api_server, node, tmp_path
):
    node.instead = {
        "phase": "Pending",
        "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
        ],
    }
    with closing(api_server.client()) as client:
        room = SandboxJobs(client, Place(node.namespace, IMAGE, starts_within_s=0.5), look_every_s=0.05)
        with pytest.raises(Unavailable, match="did not start in time: 0/3 nodes"):
            done(room, work(tmp_path / "a", "", timeout_s=0.2))


def test_a_job_that_runs_until_its_deadline_took_too_long(api_server, node, tmp_path):
    """Where the one who reports does not come to it, as when the node is too busy."""
    node.instead = state_of({"running": {}}, phase="Running")
    with closing(api_server.client()) as client:
        room = SandboxJobs(client, Place(node.namespace, IMAGE, starts_within_s=0.5), look_every_s=0.05)
        assert done(room, work(tmp_path / "a", "", timeout_s=0.2)) == Ended(None, None, "")


@pytest.mark.parametrize("what", ["pods", "count/jobs.batch"])
def test_a_namespace_that_is_full_is_told_so(room, node, tmp_path, what):
    """Its quota is the API server's own; nobody counts what is used, as the quotas' controller is not here."""
    path = f"/api/v1/namespaces/{node.namespace}/resourcequotas"
    room.jobs.kubernetes.create(path, {"metadata": {"name": "full"}, "spec": {"hard": {what: "0"}}})
    room.jobs.kubernetes.patch(f"{path}/full/status", {"status": {"hard": {what: "0"}, "used": {what: "0"}}})

    with pytest.raises(Unavailable, match=r"(?s)namespace is full: .*exceeded quota"):
        done(room, work(tmp_path / "a", ""))


def test_what_is_too_large_for_a_config_map_is_fetched_by_the_first_container_alone(
    api_server, node, tmp_path
):
    text = "import json, os\nshown = {'size': os.stat('/data').st_size, 'archive': 'KFOPS_ARCHIVE' in os.environ}\n"
    text += "print(json.dumps(shown))\n"
    (tmp_path / "data").write_text("x" * 100_000)
    one = work(tmp_path / "a", text)
    one = replace(one, read_only={**one.read_only, tmp_path / "data": Path("/data")})
    with closing(api_server.client()) as client, folder_on_the_web(tmp_path / "web") as archives:
        place = Place(node.namespace, IMAGE, starts_within_s=20)
        room = SandboxJobs(client, place, archives, look_every_s=0.05, small_bytes=100)
        assert done(room, one).answer == {"size": 100_000, "archive": False}
        (document,) = node.documents
        assert document["spec"]["template"]["metadata"]["labels"][FETCHES] == "address"
        assert not list((tmp_path / "web").iterdir())

        archives.spoils = True
        with pytest.raises(Unavailable, match=r"did not get what it needs.*has the digest"):
            done(room, replace(one, purpose="again"))


def test_what_is_too_large_is_refused_where_there_is_no_other_way(room, tmp_path):
    room.bringing = Bringing(small_bytes=100)
    with pytest.raises(Refused, match="can be brought") as caught:
        done(room, work(tmp_path / "a", ""))
    assert "KFOPS_STORAGE=s3" in caught.value.fix


def test_models_are_scored_in_jobs_of_their_own(api_server, node, served_models, tmp_path):
    pd = pytest.importorskip("pandas")
    rows = pd.DataFrame({"tenure": [1.0, 60, 5, 40] * 20, "contract": list("myym") * 20})
    rows["churn"] = ["yes", "no", "yes", "no"] * 20
    rows.to_parquet(tmp_path / "heldout.parquet")
    with closing(api_server.client()) as client, folder_on_the_web(tmp_path / "web") as archives:
        place = Place(node.namespace, IMAGE, starts_within_s=60)
        scoring = LocalScoring(SandboxJobs(client, place, archives, look_every_s=0.05))
        order = {"task": "classification", "target": "churn"}
        found = scoring.compare(
            served_models / PIPELINE, served_models / BROKEN, tmp_path / "heldout.parquet", **order
        )
    assert isinstance(found, Comparison), found
    assert found.challenger["accuracy"] == 1.0
    assert "production's model cannot score these rows" in found.reason
    purposes = {document["metadata"]["labels"]["kfops.dev/purpose"] for document in node.documents}
    assert (purposes, len(node.documents)) == ({"predict", "judge"}, 3)


def test_the_doctor_tries_the_sandbox_and_says_why_it_does_not_run(api_server, node, tmp_path):
    settings = Settings(
        data_dir=tmp_path / "bot",
        sandbox="kubernetes",
        sandbox_namespace=node.namespace,
        sandbox_image=IMAGE,
        kubeconfig=api_server.kubeconfig(tmp_path / "config"),
    )
    assert list(doctor.sandbox_problems(settings)) == []
    (document,) = node.documents
    assert document["metadata"]["labels"]["kfops.dev/purpose"] == "probe"

    node.instead = waiting("ImagePullBackOff")
    with pytest.raises(Unavailable, match="cannot be pulled"):
        list(doctor.sandbox_problems(settings))
    for wrong, words in (
        ({"sandbox_image": ""}, "KFOPS_SANDBOX_IMAGE"),
        ({"kubeconfig": tmp_path}, "KFOPS_KUBECONFIG"),
    ):
        with pytest.raises(SettingsProblem, match=words):
            list(doctor.sandbox_problems(settings.model_copy(update=wrong)))


@pytest.mark.parametrize("what", ["pipelines", "serving", "install"])
def test_what_runs_on_this_machine_needs_a_sandbox_of_this_machine(tmp_path, what):
    settings = Settings(data_dir=tmp_path, sandbox="kubernetes", sandbox_image=IMAGE, install=True)
    asked = {
        "pipelines": lambda: engines.pipelines(settings),
        "serving": lambda: engines.serving(settings),
        "install": lambda: machine.environments(settings),
    }
    with pytest.raises(SettingsProblem, match="this machine"):
        asked[what]()
