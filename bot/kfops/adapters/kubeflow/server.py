"""Kubeflow Pipelines' API through its own client: calls that end, and two words for every way to fail."""

from __future__ import annotations

import contextlib
import io
import json
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from kfops.ports.errors import Refused, Unavailable

if TYPE_CHECKING:
    from kfp import Client

T = TypeVar("T")
_TIMEOUT_S = (5, 30)  # to connect, to read


@dataclass
class KubeflowServer:
    """Thread-safe. `host`: the API, or the address of the pages in front of it. `token`: a service account's, if needed.

    The client is made at the first call: its constructor already asks the server, which may be away.
    """

    host: str
    namespace: str = "kubeflow"
    token: str = ""
    ui_host: str = ""
    authority: str = ""
    _made: Client | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def link(self, run_id: str) -> str:
        return f"{(self.ui_host or self.host).rstrip('/')}/#/runs/details/{run_id}"

    def experiment(self, name: str, description: str) -> str:
        """The id of the experiment of that name, made where there is none."""
        found = self._asked(
            lambda client: client.create_experiment(name, description, namespace=self.namespace)
        )
        return str(found.experiment_id)

    def create_run(
        self,
        *,
        name: str,
        experiment_id: str,
        package: str,
        parameters: Mapping[str, Any],
        pipeline_root: str,
        is_cached: bool,
        service_account: str,
    ) -> str:
        """The new run's id. The package travels in the request; nothing is uploaded beforehand."""
        made = self._asked(
            lambda client: client.create_run_from_pipeline_package(
                package,
                arguments=dict(parameters),
                run_name=name,
                experiment_id=experiment_id,
                namespace=self.namespace,
                pipeline_root=pipeline_root,
                enable_caching=None if is_cached else False,
                service_account=service_account or None,
            )
        )
        return str(made.run_id)

    def find_run(self, name: str) -> str | None:
        """The id of the run of that name; the oldest, should there be several."""
        return next((str(one.run_id) for one in self.runs(name)), None)

    def runs(self, name: str) -> list[Any]:
        """All of that name, oldest first."""
        wanted = {"predicates": [{"operation": "EQUALS", "key": "display_name", "string_value": name}]}
        page = self._asked(
            lambda client: client.list_runs(
                page_size=100, sort_by="created_at asc", namespace=self.namespace, filter=json.dumps(wanted)
            )
        )
        return [one for one in page.runs or [] if one.display_name == name]

    def run(self, run_id: str) -> Any | None:
        """As the server shows it now; None where there is no such run."""
        try:
            return self._asked(lambda client: client.get_run(run_id))
        except _Absent:
            return None

    def terminate(self, run_id: str) -> None:
        self._asked(lambda client: client.terminate_run(run_id))

    def _asked(self, call: Callable[[Client], T]) -> T:
        from kfp_server_api import ApiException
        from urllib3.exceptions import HTTPError

        try:
            with contextlib.redirect_stdout(io.StringIO()):  # the client prints links for notebooks
                return call(self._client())
        except ApiException as error:
            raise _no(error) from error
        except (HTTPError, OSError) as error:
            raise Unavailable(f"Kubeflow Pipelines did not answer: {type(error).__name__}") from error
        except ValueError as error:
            raise Refused(f"Kubeflow Pipelines: {error}") from error

    def _client(self) -> Client:
        with self._lock:
            if self._made is None:
                from kfp import Client

                with warnings.catch_warnings():
                    # It always warns that it needs Kubeflow Pipelines 2, which is what we speak.
                    warnings.simplefilter("ignore", FutureWarning)
                    self._made = Client(
                        host=self.host,
                        namespace=self.namespace,
                        existing_token=self.token or None,
                        ui_host=self.ui_host or None,
                        ssl_ca_cert=self.authority or None,
                    )
            return self._made


class _Absent(Refused):
    """The server knows no such thing; an answer for those who ask whether there is one."""


def _no(error: Any) -> Unavailable | Refused:
    status = int(error.status or 0)
    try:
        said = str(json.loads(error.body or "{}").get("error") or error.reason)
    except (ValueError, AttributeError):
        said = str(error.reason)
    if status in {0, HTTPStatus.TOO_MANY_REQUESTS} or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(f"Kubeflow Pipelines answered {status}: {said[:500]}")
    if status == HTTPStatus.NOT_FOUND:
        return _Absent(f"Kubeflow Pipelines answered {status}: {said[:500]}")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Refused(
            f"Kubeflow Pipelines answered {status}: {said[:500]}",
            fix="give the bot's service account the role that deploy/ describes, or set KFOPS_KUBEFLOW_TOKEN",
        )
    return Refused(f"Kubeflow Pipelines answered {status}: {said[:500]}")
