"""Serving on KServe, in both of its modes. One call brings an environment one step nearer to its wish."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from kfops.adapters.kserve import (
    cluster,
    documents,
    installation,
    kept,
    modes,
    names,
)
from kfops.adapters.kserve.arms import Names
from kfops.adapters.kserve.asking import Asker, in_tensors
from kfops.adapters.kserve.cluster import Cluster
from kfops.adapters.kserve.documents import Mode, mode_of
from kfops.adapters.kserve.formats import predict_path, speaks_only_v2
from kfops.adapters.kserve.installation import Told
from kfops.adapters.kserve.kept import Kept
from kfops.adapters.kserve.names import Identity
from kfops.adapters.kserve.own_requests import OwnRequest, OwnRequests
from kfops.adapters.kserve.step import Create, Delete, Done, Patch, Refuse, Step, Target, Wait
from kfops.adapters.kubernetes.client import Conflict, Kubernetes
from kfops.domain.environment import EnvironmentKey
from kfops.ports.clock import Clock
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.serving import Answer, ArmName, ModelSource, Served, Wish

_TRIES = 4  # KServe writes the status of what is patched here, so conflicts are daily business

Publish = Callable[[ModelSource], str]
"""Puts a model where the cluster reads it, and returns that address; it carries the model's digest (R13)."""


@dataclass(frozen=True)
class Settings:
    """`account`: the service account that may read the models; `through`: see `Asker`."""

    told: Told = field(default_factory=Told)
    account: str = ""
    through: str = ""


class KServeServing:
    """Thread-safe. `own` learns of every request that the bot makes itself."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        publish: Publish,
        clock: Clock,
        own: OwnRequests,
        settings: Settings | None = None,
    ) -> None:
        self._kubernetes = kubernetes
        self._publish = publish
        self._clock = clock
        self._own = own
        self._settings = settings or Settings()
        self._asker = Asker(self._settings.through)

    def observe(self, environment: EnvironmentKey) -> Served:
        wish = kept.read(self._kubernetes, environment)
        seen = cluster.look(self._kubernetes, environment)
        is_settled = isinstance(modes.next_step(seen, wish), Done)
        return replace(modes.shown(environment, wish.target, seen), is_settled=is_settled)

    def apply(self, environment: EnvironmentKey, wish: Wish) -> None:
        if not 0 <= wish.candidate_weight <= 100:  # noqa: PLR2004 - per cent
            raise Refused(f"candidate_weight is {wish.candidate_weight}; expected 0 to 100 per cent")
        before = kept.read(self._kubernetes, environment)
        seen = cluster.look(self._kubernetes, environment)
        wished = self._keep(environment, before, wish, seen)
        for _ in range(_TRIES):
            try:
                return self._take(environment, seen, modes.next_step(seen, wished))
            except Conflict:
                seen = self._unless_overruled(environment, seen, wished)
        raise Unavailable("the InferenceService is written to all the time")

    def ask(
        self, environment: EnvironmentKey, arm: ArmName, body: bytes, timeout_s: float, path: str = "predict"
    ) -> Answer:
        wished = kept.read(self._kubernetes, environment)
        seen = cluster.look(self._kubernetes, environment)
        counted = modes.counted(seen, wished)
        named = counted.stable if arm is ArmName.STABLE else counted.candidate
        address = modes.alone_at(seen, environment, named) if seen else None
        if address is None or seen is None:
            return Answer(None, b"", 0.0, f"no {arm} revision is running")
        name, url = address
        ask = partial(self._ask, name, url, timeout_s)
        if path != "predict":
            return ask(path, body)
        form = seen.service["spec"]["predictor"]["model"]["modelFormat"]["name"]
        path = predict_path(form, environment.model)
        if not speaks_only_v2(form):
            return ask(path, body)
        return in_tensors(ask, path, body)

    def _ask(self, name: str, url: str, timeout_s: float, path: str, body: bytes | None) -> Answer:
        began = self._clock.now()
        answer = self._asker.ask(url, path, body, timeout_s)
        self._own.note(OwnRequest(name, began, answer.status))
        return answer

    def url(self, environment: EnvironmentKey) -> str:
        return self.observe(environment).url

    def counted(self, environment: EnvironmentKey) -> tuple[Mode | None, Names]:
        """In which mode it is served, and under which names the arms are counted. No mode: nothing is served yet, or
        KServe has not said how.
        """
        wished = kept.read(self._kubernetes, environment)
        seen = cluster.look(self._kubernetes, environment)
        said = seen.service.get("status", {}).get("deploymentMode") if seen else None
        return mode_of(said), modes.counted(seen, wished)

    def _take(self, environment: EnvironmentKey, seen: Cluster | None, step: Step) -> None:
        match step:
            case Done() | Wait():
                return
            case Create(predictor=predictor, is_hidden=is_hidden):
                mode = self._mode(seen)
                body = documents.inference_service(environment, predictor, mode, is_hidden=is_hidden)
                self._kubernetes.create(names.services(environment.namespace), body)
            case Patch(body=body) if seen is not None:
                version = seen.service["metadata"]["resourceVersion"]
                body = {**body, "metadata": {**body.get("metadata", {}), "resourceVersion": version}}
                self._kubernetes.patch(names.services(environment.namespace, environment.model), body)
            case Delete() if seen is not None:
                path = names.services(environment.namespace, environment.model)
                self._kubernetes.delete(path, uid=seen.service["metadata"]["uid"])
            case Refuse(reason=reason, fix=fix):
                raise Refused(reason, fix=fix)
            case _:
                raise Unavailable("the InferenceService is gone meanwhile")

    def _unless_overruled(
        self, environment: EnvironmentKey, seen: Cluster | None, wished: Kept
    ) -> Cluster | None:
        """What is there now, where only statuses and the like have changed. Else Conflict: another worker has wished or
        specified something meanwhile, and this one may be the late one (R14).
        """
        now = cluster.look(self._kubernetes, environment)
        is_same = _generation(now) == _generation(seen)
        if not is_same or kept.read(self._kubernetes, environment).version != wished.version:
            raise Conflict("somebody else has changed what this was about to change")
        return now

    def _keep(self, environment: EnvironmentKey, before: Kept, wish: Wish, seen: Cluster | None) -> Kept:
        """Written before anything is changed: whoever looks in between knows which arm is which."""
        sources = {Identity(one.digest, one.version): one for one in (wish.stable, wish.candidate) if one}
        unknown = [identity for identity in sources if identity not in before.predictors]
        mode = self._mode(seen) if unknown else Mode.KNATIVE
        if unknown and mode is Mode.STANDARD:
            installation.check_shares_traffic(self._kubernetes, self._settings.told)
        fresh = {
            one: documents.predictor(sources[one], self._publish(sources[one]), mode, self._settings.account)
            for one in unknown
        }
        stable, candidate = (
            Identity(one.digest, one.version) if one else None for one in (wish.stable, wish.candidate)
        )
        target = Target(stable, candidate if candidate != stable else None, wish.candidate_weight)
        after = before.wished(target, fresh)
        counted = modes.counted(seen, after)
        if counted.candidate:
            after = replace(after, newest=counted.candidate[-1])
        return after if after == before else kept.write(self._kubernetes, environment, after)

    def _mode(self, seen: Cluster | None) -> Mode:
        said = seen.service.get("status", {}).get("deploymentMode") if seen else None
        if seen is not None and not said:
            said = names.annotations_of(seen.service).get(names.MODE)
        return mode_of(said) or installation.mode_of_new_services(self._kubernetes, self._settings.told)


def _generation(seen: Cluster | None) -> int | None:
    """Counts changes of the specification alone."""
    return seen.service["metadata"].get("generation") if seen else None
