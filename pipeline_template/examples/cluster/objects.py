"""Objects of a Kubernetes API that do work: made, watched to their end, taken away when nobody waits for them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

Document = dict[str, Any]


def custom_objects() -> Any:
    """The API, from inside a step by its service account, from a desk by the kubeconfig."""
    from kubernetes import client, config

    try:
        config.load_incluster_config()
    except config.ConfigException:
        config.load_kube_config()
    return client.CustomObjectsApi()


def work(
    api: Any,
    document: Document,
    plural: str,
    verdict: Callable[[Mapping[str, Any]], str | None],
    *,
    tell: Callable[[Mapping[str, Any]], None],
    poll_seconds: float = 10.0,
) -> Document:
    """Make the object and watch it to its end; the object as it ended.

    `verdict` reads its status: None while it works, empty once it has succeeded, else why it failed, which is raised.
    An earlier attempt of this step may have made the object already: then that one is watched. When the step ends
    before the object does, because the run was cancelled say, the object is deleted, and what it started goes with it.
    """
    group, _, version = document["apiVersion"].partition("/")
    place = {
        "group": group,
        "version": version,
        "namespace": document["metadata"]["namespace"],
        "plural": plural,
    }
    name = document["metadata"]["name"]
    signal.signal(signal.SIGTERM, _leave)
    try:
        _make(api, place, document)
        while True:
            found = _seen(api, place, name)
            status = (found or {}).get("status") or {}
            tell(status)
            said = verdict(status)
            if said is not None:
                break
            time.sleep(poll_seconds)
    except BaseException:  # an end from outside too
        _delete(api, place, name)
        raise
    if said:
        raise SystemExit(f"{document['kind']} {name} failed: {said}")
    return found


def _make(api: Any, place: Mapping[str, str], document: Document) -> None:
    from kubernetes.client import ApiException

    try:
        api.create_namespaced_custom_object(body=document, **place)
    except ApiException as error:
        if error.status != 409:
            raise SystemExit(
                f"{document['kind']} was refused: {error.status} {error.reason}: {error.body}"
            ) from error


def _seen(api: Any, place: Mapping[str, str], name: str) -> Document | None:
    """None where the API could not answer just now: hours of training do not end with its restart."""
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        return api.get_namespaced_custom_object(name=name, **place)
    except HTTPError:
        return None
    except ApiException as error:
        if error.status == 404:
            raise SystemExit(f"{place['plural']}/{name} was deleted by somebody else") from error
        if error.status < 500 and error.status != 429:
            raise SystemExit(
                f"{place['plural']}/{name} cannot be read: {error.status} {error.reason}"
            ) from error
        return None


def _delete(api: Any, place: Mapping[str, str], name: str) -> None:
    from kubernetes.client import ApiException

    try:
        api.delete_namespaced_custom_object(name=name, **place)
    except ApiException as error:
        if error.status != 404:
            print(f"{place['plural']}/{name} is left behind: {error.status} {error.reason}", flush=True)


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit("the step was ended from outside")


def owners(environment: Mapping[str, str] = os.environ) -> list[Document]:
    """The step's own pod, as Kubeflow names it to the step: when it is removed, so is what it made."""
    name, uid = environment.get("KFP_POD_NAME"), environment.get("KFP_POD_UID")
    return [{"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}] if name and uid else []


def true_condition(status: Mapping[str, Any], *kinds: str) -> Mapping[str, Any] | None:
    """The first of these conditions that holds."""
    held = {one["type"]: one for one in status.get("conditions") or () if one.get("status") == "True"}
    return next((held[kind] for kind in kinds if kind in held), None)


def reason(condition: Mapping[str, Any]) -> str:
    said = ": ".join(str(condition[key]) for key in ("reason", "message") if condition.get(key))
    return said or "it gives no reason"
