"""The two commands, joined with what they work on. `python -m kfops` is the operators' `kfops`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kfops.cli.examining import Finding
    from kfops.cli.setup_github import Registration
    from kfops.ports.data import DataSets
    from kfops.ports.ledger import Ledger
    from kfops.ports.pipelines import Pipelines
    from kfops.settings import Settings


def kfc() -> None:
    from kfops.cli.factories import Factories
    from kfops.cli.kfc import app

    app(Factories(_pipelines, _data_sets))()


def kfops() -> None:
    from kfops.cli.factories import Services
    from kfops.cli.kfops import app

    app(Services(_serve, _ledger, _playground, _demo, _registration, _examine, _secrets))(prog_name="kfops")


def _settings(data_dir: Path | None = None, kubeflow_url: str = "") -> Settings:
    from pydantic import ValidationError

    from kfops.ports.errors import Refused
    from kfops.settings import Settings

    try:
        if kubeflow_url and data_dir is not None:
            return Settings(data_dir=data_dir, pipelines="kubeflow", kubeflow_url=kubeflow_url)
        return Settings() if data_dir is None else Settings(data_dir=data_dir)
    except ValidationError as wrong:
        said = "; ".join(
            f"KFOPS_{'_'.join(str(part) for part in one['loc']).upper()}: {one['msg']}"
            for one in wrong.errors(include_input=False)
        )
        raise Refused(f"the settings cannot be read: {said}") from wrong


def _pipelines(folder: Path, kubeflow_url: str) -> Pipelines:
    from kfops.bootstrap.engines import pipelines
    from kfops.bootstrap.problem import SettingsProblem
    from kfops.logs import beside
    from kfops.ports.errors import Refused

    settings = _settings(folder, kubeflow_url)
    beside(settings.secrets)
    try:
        return pipelines(settings)
    except SettingsProblem as problem:
        raise Refused(str(problem)) from problem


def _data_sets(folder: Path) -> DataSets:
    from kfops.adapters.local.data import DataFolder

    return DataFolder(folder)


def _serve() -> None:
    from kfops.bootstrap.problem import SettingsProblem
    from kfops.bootstrap.service import serve
    from kfops.ports.errors import Refused

    try:
        serve(_settings())
    except SettingsProblem as problem:
        raise Refused(str(problem)) from problem


def _ledger() -> Ledger:
    from kfops.bootstrap.keeping import ledger
    from kfops.bootstrap.problem import SettingsProblem
    from kfops.ports.errors import Refused

    try:
        return ledger(_settings())
    except SettingsProblem as problem:
        raise Refused(str(problem)) from problem


def _playground(port: int, data_dir: Path, repos: list[Path]) -> None:
    from kfops.adapters.system_clock import SystemClock
    from kfops.playground.command import run

    run(port, data_dir, repos, clock=SystemClock().now)


def _demo(once: bool, report: Path | None, port: int, bot_port: int) -> int:
    from kfops.demo.scene import play
    from kfops.demo.world import Ports

    return play(once=once, report=report, ports=Ports(port, bot_port))


def _registration() -> Registration:
    from kfops.adapters.github.manifest import GitHubRegistration

    return GitHubRegistration(_settings().forge_url)


def _examine() -> Iterable[Finding]:
    from kfops.doctor import examine

    return examine(_settings())


def _secrets() -> tuple[str, ...]:
    return _settings().secrets


if __name__ == "__main__":
    kfops()
