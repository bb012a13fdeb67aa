"""Import KFP without its client, which takes five times as long as all the rest and talks to servers out of reach."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any


class Client:
    """Stands in for `kfp.Client` until somebody makes one; then it is the real thing."""

    def __new__(cls, *arguments: Any, **settings: Any) -> Any:
        from kfp.client.client import Client as Real

        return Real(*arguments, **settings)


def leave_out_client() -> None:
    """To be called before the first `import kfp`. `kfp.client.…` can still be imported by those who want it."""
    spec = importlib.util.find_spec("kfp")
    if spec is None or spec.submodule_search_locations is None:
        return  # the import says so itself
    module: Any = ModuleType("kfp.client")
    module.__path__ = [f"{place}/client" for place in spec.submodule_search_locations]
    module.Client = Client
    sys.modules["kfp.client"] = module
