"""The manifests of `deploy/`: built, applied to a real API server, and proved to give the bot what it needs and no more."""

from __future__ import annotations

import json
import re
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from tests.support.cluster import manifests
from tests.support.cluster import node as nodes
from tests.support.cluster.api_server import ApiServer
from tests.support.cluster.kserve_place import MODEL, KServePlace, place_of
from tests.support.cluster.manifests import KUBECTL, OVERLAYS, overlay
from tests.support.served_models import GOOD, PICKY
from tests.support.serving_contract import body, serve, with_candidate

from kfops.adapters.kubernetes.client import Kubernetes
from kfops.adapters.kubernetes.sandbox.adapter import SandboxJobs
from kfops.adapters.kubernetes.sandbox.job import FETCHES, Place
from kfops.adapters.local.pipelines.compiling import Compiler
from kfops.config.policy import load_policy
from kfops.domain.package_policy import Allowed
from kfops.ports.pipelines import CompileOrder
from kfops.settings import Settings

pytestmark = pytest.mark.xdist_group("cluster")

BOT = "system:serviceaccount:kfops:kfops"
SANDBOX = "system:serviceaccount:kfops-sandbox:sandbox"
IMAGES = "system:serviceaccount:kfops-images:images"
MODELS = "system:serviceaccount:churn:models-reader"
ROOMS = ("kserve", "kubeflow", "other")  # namespaces that are not the manifests' own


@pytest.fixture(scope="module")
def cluster(api_server: ApiServer) -> Iterator[Kubernetes]:
    """With both overlays applied; what they find there already is there."""
    with closing(api_server.client()) as client:
        for name in ROOMS:
            client.apply(
                f"/api/v1/namespaces/{name}",
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
                manager="tests",
            )
        for name in OVERLAYS:
            manifests.apply(client, overlay(name))
        yield client


def containers(document: dict[str, Any]) -> list[dict[str, Any]]:
    return list(document["spec"]["template"]["spec"]["containers"])


def workloads(name: str) -> list[dict[str, Any]]:
    return [one for one in overlay(name) if one["kind"] in {"Deployment", "StatefulSet", "Job"}]


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_is_taken_by_the_api_and_changes_nothing_when_it_is_applied_again(cluster, name):
    def asked() -> list[dict[str, Any]]:
        """Without what the cluster itself writes: of a quota, how much of it is used."""
        seen = [cluster.get(path) for one in overlay(name) if (path := manifests.path_of(one))]
        for one in seen:
            one.pop("status", None)
            for written in ("resourceVersion", "managedFields"):
                one["metadata"].pop(written, None)
        return seen

    manifests.apply(cluster, overlay(name))
    before = asked()
    unknown = manifests.apply(cluster, overlay(name))
    assert asked() == before
    assert {one["kind"] for one in unknown} <= {"PodDisruptionBudget"}


@pytest.mark.parametrize("name", OVERLAYS)
@pytest.mark.parametrize("version", ["1.30", "1.34"])
def test_every_document_fits_newer_kubernetes_too(name, version):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import kubernetes_validate

        for document in overlay(name):
            if document["apiVersion"] not in manifests.OF_OTHERS:
                kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("name", OVERLAYS)
def test_nothing_runs_as_root_or_can_become_it(name):
    assert workloads(name)
    for document in workloads(name):
        pod = document["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(document):
            secured = container["securityContext"]
            assert secured["allowPrivilegeEscalation"] is False
            assert secured["readOnlyRootFilesystem"] is True
            assert secured["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"].keys() >= {"cpu", "memory"}
            assert container["readinessProbe"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_secrets_are_named_and_never_written_down(name):
    assert not [one for one in overlay(name) if one["kind"] == "Secret"]
    sensitive = re.compile(r"SECRET|TOKEN|PASSWORD|DATABASE_URL|ACCESS_KEY", re.IGNORECASE)
    for document in workloads(name):
        for variable in [one for container in containers(document) for one in container.get("env", [])]:
            assert "value" not in variable or not sensitive.search(variable["name"])
    for document in overlay(name):
        if document["kind"] == "ConfigMap":
            assert not [key for key in document["data"] if sensitive.search(key)]


def test_production_survives_a_node():
    found = {(one["kind"], one["metadata"]["name"]): one for one in overlay("production")}
    bot = found["Deployment", "kfops"]["spec"]
    assert bot["replicas"] == 3
    assert bot["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
    assert found["PodDisruptionBudget", "kfops"]["spec"]["minAvailable"] == 1
    assert "@sha256:" in containers(found["Deployment", "kfops"])[0]["image"]
    volumes = {one["name"]: one for one in bot["template"]["spec"]["volumes"]}
    assert "emptyDir" in volumes["data"]


def test_the_sandbox_has_no_network_no_token_and_bounds():
    found = [one for one in overlay("production") if one["metadata"].get("namespace") == "kfops-sandbox"]
    accounts = [one for one in found if one["kind"] == "ServiceAccount"]
    assert accounts
    assert all(one["automountServiceAccountToken"] is False for one in accounts)
    policies = {one["metadata"]["name"]: one["spec"] for one in found if one["kind"] == "NetworkPolicy"}
    assert policies.keys() == {"nothing", "source"}
    assert policies["nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    # What fetches its archive first is opened for that, outwards only; nothing else is.
    assert policies["source"]["podSelector"] == {"matchLabels": {FETCHES: "address"}}
    assert policies["source"]["policyTypes"] == ["Egress"]
    assert {"ResourceQuota", "LimitRange"} <= {one["kind"] for one in found}


def test_builders_reach_nothing_inside_the_cluster_and_nothing_reaches_them():
    found = [one for one in overlay("production") if one["metadata"].get("namespace") == "kfops-images"]
    assert all(
        one["automountServiceAccountToken"] is False for one in found if one["kind"] == "ServiceAccount"
    )
    (policy,) = [one["spec"] for one in found if one["kind"] == "NetworkPolicy"]
    assert (policy["podSelector"], policy["policyTypes"]) == ({}, ["Ingress", "Egress"])
    assert "ingress" not in policy
    (_, outside) = policy["egress"]
    assert "169.254.0.0/16" in outside["to"][0]["ipBlock"]["except"]
    assert "ResourceQuota" in {one["kind"] for one in found}
    assert not [one for one in overlay("kind") if one["metadata"].get("namespace") == "kfops-images"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_sandbox_runs_the_image_that_the_bot_runs(name):
    (bot,) = [
        container for one in workloads(name) for container in containers(one) if container["name"] == "kfops"
    ]
    (told,) = [one["value"] for one in bot["env"] if one["name"] == "KFOPS_SANDBOX_IMAGE"]
    assert told == bot["image"] != "kfops"


@pytest.mark.parametrize("name", OVERLAYS)
def test_settings_and_policy_are_ones_that_the_bot_takes(name, monkeypatch):
    """Every variable is known to it, and every value."""
    maps = {
        one["metadata"]["name"].rsplit("-", 1)[0]: one for one in overlay(name) if one["kind"] == "ConfigMap"
    }
    settings = maps["kfops-settings"]["data"]
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    found = Settings()
    known = {f"KFOPS_{field.upper()}" for field in Settings.model_fields}
    assert not settings.keys() - known
    assert found.serving == "kserve"
    assert found.sandbox == {"production": "kubernetes", "kind": "none"}[name]
    assert load_policy(maps["kfops-policy"]["data"]["policy.yaml"], filename="policy.yaml").repositories


def test_the_metrics_stay_inside():
    (ingress,) = [one for one in overlay("production") if one["kind"] == "Ingress"]
    paths = [one["path"] for rule in ingress["spec"]["rules"] for one in rule["http"]["paths"]]
    assert paths == ["/webhooks/github", "/dashboard/", "/api/"]


PARTS = {"log", "exec", "attach", "portforward", "token"}
GROUPS = ["system:serviceaccounts", "system:authenticated"]
# Who, what, where: yes or no. The verbs are those that the adapters use.
RIGHTS = [
    *(
        (BOT, verb, "inferenceservices.serving.kserve.io", "churn", True)
        for verb in ("get", "create", "patch", "delete")
    ),
    (BOT, "list", "revisions.serving.knative.dev", "churn", True),
    (BOT, "get", "deployments.apps", "churn", True),
    (BOT, "get", "httproutes.gateway.networking.k8s.io", "churn", True),
    (BOT, "list", "pods", "churn", True),
    (BOT, "get", "pods/log", "churn", True),
    *((BOT, verb, "configmaps", "churn", True) for verb in ("get", "create", "patch")),
    *((BOT, verb, "jobs.batch", "kfops-sandbox", True) for verb in ("get", "create", "delete")),
    (BOT, "create", "configmaps", "kfops-sandbox", True),
    (BOT, "list", "pods", "kfops-sandbox", True),
    (BOT, "get", "pods/log", "kfops-sandbox", True),
    (BOT, "list", "events", "kfops-sandbox", True),
    # A Job is made and taken away, never changed; what others made there is not read.
    *(
        (BOT, verb, "jobs.batch", "kfops-sandbox", False)
        for verb in ("list", "update", "patch", "deletecollection")
    ),
    *(
        (BOT, verb, "configmaps", "kfops-sandbox", False)
        for verb in ("get", "list", "update", "patch", "delete")
    ),
    *((BOT, verb, "pods", "kfops-sandbox", False) for verb in ("get", "update", "patch", "delete")),
    *((BOT, "create", f"pods/{part}", "kfops-sandbox", False) for part in ("exec", "attach", "portforward")),
    *(
        (BOT, verb, what, "kfops-sandbox", False)
        for verb in ("create", "patch", "delete")
        for what in (
            *("secrets", "serviceaccounts", "resourcequotas", "limitranges"),
            *("networkpolicies.networking.k8s.io", "roles.rbac.authorization.k8s.io"),
        )
    ),
    (BOT, "list", "pods", "kubeflow", True),
    (BOT, "get", "configmaps/inferenceservice-config", "kserve", True),
    (BOT, "get", "deployments.apps/kserve-controller-manager", "kserve", True),
    # What would let it, or who took it over, out of its rooms.
    (BOT, "get", "secrets", "churn", False),
    (BOT, "get", "secrets", "kfops", False),
    (BOT, "get", "secrets", "kfops-sandbox", False),
    (BOT, "create", "pods", "churn", False),
    (BOT, "create", "pods", "kfops-sandbox", False),
    (BOT, "create", "pods/exec", "churn", False),
    (BOT, "patch", "deployments.apps", "churn", False),
    (BOT, "create", "jobs.batch", "churn", False),
    (BOT, "create", "inferenceservices.serving.kserve.io", "other", False),
    (BOT, "get", "inferenceservices.serving.kserve.io", "other", False),
    (BOT, "get", "configmaps", "kserve", False),
    (BOT, "patch", "configmaps/inferenceservice-config", "kserve", False),
    (BOT, "list", "secrets", "", False),
    (BOT, "create", "rolebindings.rbac.authorization.k8s.io", "churn", False),
    (BOT, "create", "serviceaccounts/token", "churn", False),
    (BOT, "impersonate", "users", "", False),
    (BOT, "create", "namespaces", "", False),
    *(
        (who, verb, what, "kfops-sandbox", False)
        for who in (SANDBOX,)
        for verb in ("get", "create")
        for what in ("pods", "secrets", "configmaps", "jobs.batch")
    ),
    *(
        (IMAGES, verb, what, "kfops-images", False)
        for verb in ("get", "create")
        for what in ("pods", "secrets", "configmaps", "jobs.batch")
    ),
    (BOT, "get", "secrets", "kfops-images", False),
    (BOT, "create", "pods", "kfops-images", False),
    (BOT, "create", "pods/exec", "kfops-images", False),
    *(
        (MODELS, "get", what, "churn", False)
        for what in ("secrets", "configmaps", "pods", "inferenceservices.serving.kserve.io")
    ),
]


def test_the_table_of_rights(cluster):
    said = []
    for who, verb, what, where, _ in RIGHTS:
        resource, _, name = what.partition("/")
        plural, _, group = resource.partition(".")
        asked = {"verb": verb, "resource": plural, "group": group, "namespace": where}
        asked |= {"subresource" if name in PARTS else "name": name} if name else {}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": who, "groups": GROUPS, "resourceAttributes": asked},
        }
        found = cluster.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        said.append((who, verb, what, where, found["status"]["allowed"]))
    assert said == RIGHTS


FOR_JOBS = {
    ("batch", "jobs", "get"),
    ("batch", "jobs", "create"),
    ("batch", "jobs", "delete"),
    ("", "configmaps", "create"),
    ("", "pods", "list"),
    ("", "pods/log", "get"),
    ("", "events", "list"),
}


@pytest.mark.parametrize("namespace", ["kfops-sandbox", "kfops-images"])
def test_r11_in_a_namespace_of_jobs_the_bot_may_do_exactly_what_they_need(api_server, cluster, namespace):
    """Every right that it has there, as the API server counts them up; what everybody may do about himself aside."""
    with closing(api_server.client(bots_token(cluster))) as as_bot:
        found = as_bot.create(
            "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectRulesReview",
                "spec": {"namespace": namespace},
            },
        )
    rights = {
        (group, resource, verb)
        for rule in found["status"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if group != "authorization.k8s.io"
    }
    assert rights == FOR_JOBS
    assert not any(rule.get("resourceNames") for rule in found["status"]["resourceRules"])


def bots_token(cluster: Kubernetes) -> str:
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    made = cluster.create("/api/v1/namespaces/kfops/serviceaccounts/kfops/token", request)
    return str(made["status"]["token"])


def test_what_the_bot_may_do_is_enough_for_the_sandbox_and_its_pods_fit_quota_and_limits(
    api_server, cluster, tmp_path
):
    """With the token that its pod would have, in the very namespace of the manifests."""
    quotas = "/api/v1/namespaces/kfops-sandbox/resourcequotas/sandbox"
    hard = cluster.get(quotas)["spec"]["hard"]
    cluster.patch(f"{quotas}/status", {"status": {"hard": hard, "used": dict.fromkeys(hard, "0")}})
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "pipeline.py").write_text("raise SystemExit('as asked')\n")
    with (
        nodes.running(api_server, "kfops-sandbox"),
        closing(api_server.client(bots_token(cluster))) as as_bot,
    ):
        room = SandboxJobs(as_bot, Place("kfops-sandbox", "kfops", starts_within_s=30), look_every_s=0.05)
        order = CompileOrder(tmp_path / "repository", "pipeline.py", tmp_path / "packages")
        failure = Compiler(room, Allowed(), runs_here=False).compile(order)
        assert failure.summary == "SystemExit: as asked", failure


@pytest.mark.parametrize(
    ("verb", "what", "where", "answer"),
    [("patch", "inferenceservices.serving.kserve.io", "churn", "yes"), ("get", "secrets", "kfops", "no")],
)
def test_kubectl_says_the_same(api_server, cluster, tmp_path, verb, what, where, answer):
    config = api_server.kubeconfig(tmp_path / "config")
    command = [
        str(KUBECTL),
        "--kubeconfig",
        str(config),
        "auth",
        "can-i",
        "--as",
        BOT,
        "-n",
        where,
        verb,
        what,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == answer


def test_what_the_bot_may_do_is_enough_for_a_whole_canary(api_server, cluster, data_plane, served_models):
    """With the token that its pod would have, in both modes."""
    token = bots_token(cluster)
    for mode in ("Knative", "Standard"):
        with (
            closing(api_server.client(token)) as as_bot,
            place_of(
                api_server, data_plane, served_models, mode, namespace="churn", kubernetes=as_bot
            ) as place,
        ):
            _canary(place)


def _canary(place: KServePlace) -> None:
    champion, candidate = place.source(GOOD, "1"), place.source(PICKY, "2")
    serve(place, champion)
    with_candidate(place, champion, candidate, 50)
    serve(place, candidate)
    deadline = time.monotonic() + 30  # the cluster's gateway follows in its own time
    while (seen := place.send(body())) != (200, "2"):
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)


def test_a_new_model_namespace_is_a_copy_of_one_folder(cluster):
    """Its name stands once in the kustomization, and no right of it reaches into another."""
    made = manifests.built("model-namespace")
    assert {one["metadata"].get("namespace", one["metadata"]["name"]) for one in made} == {"churn"}
    (binding,) = [one for one in made if one["kind"] == "RoleBinding"]
    assert binding["roleRef"]["name"] == "kfops-serving"
    assert json.dumps(binding["subjects"]) == json.dumps(
        [{"kind": "ServiceAccount", "name": "kfops", "namespace": "kfops"}]
    )
    assert MODEL == "churn"
