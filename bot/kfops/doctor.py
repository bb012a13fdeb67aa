"""`kfops doctor`: whether what the bot needs is there, tried for real, and what mends it where it is not."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kfops.adapters.system_clock import SystemClock
from kfops.bootstrap import cluster, engines, keeping, machine, outside, replicas, service
from kfops.bootstrap.cluster_jobs import image_jobs, sandbox_jobs
from kfops.bootstrap.problem import SettingsProblem
from kfops.config.errors import ConfigError
from kfops.ports.errors import Refused, Unavailable

if TYPE_CHECKING:
    from kfops.adapters.sql.ledger import SqlLedger
    from kfops.settings import Settings

Problems = Iterator[tuple[str, str, bool]]
SHARE = f"set {replicas.SHARED} for several replicas, or run one bot"


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `problem` empty: all is well. `fix` says what mends it, where that is known.

    `is_grave`: the bot cannot do its work like this; otherwise it can, and an operator should know.
    """

    what: str
    problem: str = ""
    fix: str = ""
    is_grave: bool = True


def examine(settings: Settings) -> Iterator[Finding]:
    """One finding or more for each thing that these settings need, in the order in which a bot needs them."""
    checks: list[tuple[str, Callable[[Settings], Problems]]] = [
        ("settings", _settings),
        ("forge", _forge),
        ("ledger", _ledger),
        ("sandbox", sandbox_problems),
        ("images", _images),
        ("models", _models),
        ("storage", _storage),
        ("pipelines", _pipelines),
        ("serving", _serving),
    ]
    for what, check in checks:
        found = list(_looked(check, settings))
        yield from (Finding(what, *one) for one in found)
        if not found:
            yield Finding(what)


def _looked(check: Callable[[Settings], Problems], settings: Settings) -> Problems:
    try:
        yield from check(settings)
    except (SettingsProblem, ConfigError) as problem:
        yield str(problem), "", True
    except Refused as error:
        yield str(error), error.fix, True
    except (Unavailable, OSError) as error:
        yield str(error), "see that it runs and can be reached from here", True


def _settings(settings: Settings) -> Problems:
    if not settings.webhook_secrets:
        yield "no webhook secret", "set KFOPS_WEBHOOK_SECRETS, such as '[\"a long secret\"]'", True
    if settings.policy_file is None:
        yield (
            "no policy: every repository that can call the bot may use every model name, namespace and data prefix",
            "write one from deploy/policy.example.yaml and set KFOPS_POLICY_FILE",
            False,
        )
    else:
        service.policy(settings)


def _forge(settings: Settings) -> Problems:
    from kfops.adapters.github.examination import examine as examine_app

    yield from examine_app(outside.credentials(settings), settings.forge_url, SystemClock().now)


def _ledger(settings: Settings) -> Problems:
    book = keeping.ledger(settings)
    try:
        broken = [
            f"{name}: {said}" for identity, name, _ in book.repositories() if (said := book.verify(identity))
        ]
        yield from _replicas(settings, book)
    finally:
        book.close()
    for sentence in broken:
        yield f"the audit trail is broken: {sentence}", "find out who wrote to the database", True


def _replicas(settings: Settings, book: SqlLedger) -> Problems:
    """The bot that is looked at may be at work already, on this very machine."""
    own = replicas.own(settings)
    if book.database.is_sqlite or not own:
        return
    here = replicas.Replicas(book, SystemClock(), replicas.me(), own)
    others = [one.holder for one in here.others()]
    if len(others) > 1:
        yield f"{' and '.join(others)} work on this ledger, and not all can: {', '.join(own)}", SHARE, True
    else:
        yield (
            f"one bot at most can work on this ledger, because it keeps what it does on its own machine: {', '.join(own)}",
            SHARE,
            False,
        )


def sandbox_problems(settings: Settings) -> Problems:
    """Code of our own looks for what code in it must not reach."""
    from kfops.adapters.local.sandbox_examination import examine_sandbox

    if settings.sandbox == "none":
        yield (
            "there is no sandbox: code of pull requests runs with the bot's own rights",
            "take KFOPS_SANDBOX=none away, unless this machine holds nothing else",
            False,
        )
    elif settings.sandbox == "kubernetes":
        with closing(sandbox_jobs(settings)) as room:
            yield from examine_sandbox(room)
    else:
        yield from examine_sandbox(machine.sandbox(settings))


def _images(settings: Settings) -> Problems:
    if settings.images == "kubernetes":
        with closing(image_jobs(settings)) as builds:
            builds.look()
    elif settings.images == "buildah" and shutil.which("buildah") is None:
        yield "there is no buildah here", "install Debian's package buildah, or set KFOPS_IMAGES=none", True


def _models(settings: Settings) -> Problems:
    if settings.mlflow_url:
        engines.models(settings).version_of("kfops-doctor", "1")
        return
    import importlib.util

    if importlib.util.find_spec("mlflow") is None:
        yield "the tracking server is not installed", "pip install 'kfops[local]'", True


def _storage(settings: Settings) -> Problems:
    """A small model goes in and comes back, through an empty cache."""
    with tempfile.TemporaryDirectory(prefix="kfops-doctor-") as folder:
        model, elsewhere = (
            Path(folder) / "model",
            settings.model_copy(update={"data_dir": Path(folder) / "one"}),
        )
        model.mkdir()
        (model / "probe").write_text(secrets.token_hex(8))
        digest = keeping.store(elsewhere).put(model)
        again = settings.model_copy(update={"data_dir": Path(folder) / "other"})
        found = keeping.store(again if settings.storage == "s3" else elsewhere).path(digest)
    if found is None:
        yield (
            "what is put into the storage is not found again",
            "look at the bucket's rules for deleting",
            True,
        )


def _pipelines(settings: Settings) -> Problems:
    if engines.pipelines(settings).find("kfops-doctor") is not None:
        yield "there is a run named kfops-doctor", "remove it", True
    if settings.pipelines == "kubeflow" and not settings.kubeflow_service_account:
        yield (
            "steps run under the namespace's default service account, which can reach more than its repository's data",
            "set KFOPS_KUBEFLOW_SERVICE_ACCOUNT to one that is limited to a part of the bucket",
            False,
        )


def _serving(settings: Settings) -> Problems:
    if settings.serving != "local":
        yield from cluster.examine_kserve(settings)
        return
    from kfops.adapters.local.serving.envoy import envoy_binary

    envoy_binary()
    yield from ()
