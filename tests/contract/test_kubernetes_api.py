"""The client of the Kubernetes API against a real API server."""

from __future__ import annotations

import pytest
from tests.support.cluster.api_server import ApiServer

from kfops.adapters.kubernetes.access import Access, find_access, in_cluster
from kfops.adapters.kubernetes.client import Conflict, Kubernetes
from kfops.ports.errors import Refused, Unavailable

pytestmark = pytest.mark.xdist_group("cluster")


@pytest.fixture
def client(api_server: ApiServer):
    client = api_server.client()
    yield client
    client.close()


def maps(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps" + (f"/{name}" if name else "")


def made(client: Kubernetes, namespace: str, name: str = "one") -> dict:
    body = {"metadata": {"name": name, "labels": {"app": "churn"}}, "data": {"a": "1", "b": "2"}}
    return client.create(maps(namespace), body)


def test_what_is_made_is_found_changed_listed_and_taken_away(api_server, client):
    here = api_server.namespace()
    made(client, here)
    assert client.get(maps(here, "one"))["data"] == {"a": "1", "b": "2"}
    client.patch(maps(here, "one"), {"data": {"a": None, "c": "3"}})
    assert client.get(maps(here, "one"))["data"] == {"b": "2", "c": "3"}
    assert [one["metadata"]["name"] for one in client.list(maps(here), {"app": "churn"})] == ["one"]
    assert client.list(maps(here), {"app": "other"}) == []
    assert client.delete(maps(here, "one"))
    assert client.get(maps(here, "one")) is None
    assert not client.delete(maps(here, "one"))


def test_r14_a_patch_on_what_has_changed_since_is_a_conflict(api_server, client):
    here = api_server.namespace()
    before = made(client, here)["metadata"]["resourceVersion"]
    client.patch(maps(here, "one"), {"data": {"a": "9"}})
    with pytest.raises(Conflict):
        client.patch(maps(here, "one"), {"metadata": {"resourceVersion": before}, "data": {"a": "0"}})
    assert client.get(maps(here, "one"))["data"]["a"] == "9"


def test_only_the_very_one_is_deleted(api_server, client):
    here = api_server.namespace()
    old = made(client, here)["metadata"]["uid"]
    client.delete(maps(here, "one"), uid=old)
    made(client, here)
    with pytest.raises(Conflict):
        client.delete(maps(here, "one"), uid=old)
    assert client.get(maps(here, "one")) is not None


def test_what_is_there_already_is_a_conflict(api_server, client):
    here = api_server.namespace()
    made(client, here)
    with pytest.raises(Conflict, match="already exists"):
        made(client, here)


def test_a_wrong_document_is_refused_with_the_servers_words(api_server, client):
    with pytest.raises(Refused, match=r"422.*Invalid value"):
        client.create("/api/v1/namespaces", {"metadata": {"name": "Not A Name"}})


def test_a_missing_right_is_refused_with_a_way_to_mend_it(api_server):
    stranger = api_server.client("nobodys-token")
    with pytest.raises(Refused, match="401") as caught:
        stranger.get("/api/v1/namespaces")
    assert "right" in caught.value.fix
    stranger.close()


def test_a_kind_that_the_cluster_does_not_know_is_not_there(client):
    assert client.get("/apis/example.com/v1/namespaces/default/things/one") is None
    assert client.list("/apis/example.com/v1/namespaces/default/things") == []


def test_long_lists_come_whole(api_server):
    here = api_server.namespace()
    client = Kubernetes(api_server.access(), page=3)
    for number in range(7):
        made(client, here, f"map-{number}")
    assert len(client.list(maps(here), {"app": "churn"})) == 7
    client.close()


def test_nobody_there_is_unavailable():
    client = Kubernetes(Access("http://127.0.0.1:9"), timeout_s=1)
    with pytest.raises(Unavailable, match="did not answer"):
        client.get("/api/v1/namespaces")
    client.close()


def test_a_kubeconfig_leads_to_the_cluster(api_server, tmp_path):
    found = find_access(api_server.kubeconfig(tmp_path / "config"), {})
    client = Kubernetes(found)
    assert client.get("/api/v1/namespaces/default")["metadata"]["name"] == "default"
    client.close()


def test_no_kubeconfig_is_said_with_what_to_do(tmp_path):
    with pytest.raises(Refused) as caught:
        find_access(tmp_path / "missing", {})
    assert "KFOPS_KUBECONFIG" in caught.value.fix


def test_in_a_pod_the_renewed_token_is_read_each_time(tmp_path):
    (tmp_path / "token").write_text("first\n")
    found = in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}, tmp_path)
    assert (found.server, found.token()) == ("https://[fd00::1]:6443", "first")
    (tmp_path / "token").write_text("second\n")
    assert found.token() == "second"
