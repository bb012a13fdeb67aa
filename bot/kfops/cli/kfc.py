"""`kfc`: the developers' command. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kfops.cli.exits import Exit, Stop, epilog, told
from kfops.cli.factories import Factories

if TYPE_CHECKING:
    from kfops.cli.desk import Job
    from kfops.ports.pipelines import Pipelines

Repo = Annotated[Path, typer.Option("--repo", help="The model repository.", metavar="DIR")]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A pipeline parameter, or a key of kfops.yaml with dots. Repeatable.",
    ),
]
Override = Annotated[
    Path | None,
    typer.Option("--config-override", metavar="FILE", help="YAML that is laid upon kfops.yaml."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done and sent; execute nothing.")]
OnKubeflow = Annotated[
    str,
    typer.Option(
        "--kubeflow-url",
        metavar="URL",
        help="Run on this Kubeflow Pipelines, with the KFOPS_… settings for its bucket and token.",
    ),
]
HERE = Path()


def app(factories: Factories) -> typer.Typer:
    """The commands, on the engines that `factories` make."""
    made = typer.Typer(
        help="Work on a model repository: check it, build it, run it, on this machine.",
        epilog=epilog(),
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # rich costs half of the start-up of --help
    )
    _start(made)
    _words(made)
    _working(made, factories)
    _data(made, factories)
    return made


def _start(made: typer.Typer) -> None:
    @made.command()
    def init(
        folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
        as_json: AsJson = False,
    ) -> None:
        """Start a model repository from the template."""
        with told(as_json=as_json):
            from kfops.cli.render import answer
            from kfops.cli.starting import start

            files = start(folder)
            lines = [
                f"{len(files)} files in {folder}",
                f"next: cd {folder} && kfc check && kfc build-run --set time_budget=10",
            ]
            answer({"folder": str(folder), "files": files}, lines, as_json=as_json)

    @made.command("from-notebook")
    def from_notebook(
        notebook: Annotated[
            Path, typer.Argument(metavar="NOTEBOOK", help="A Jupyter notebook, its cells tagged.")
        ],
        out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Such as components/explore.py.")],
        name: Annotated[str, typer.Option("--name", help="The component's; FILE's unless given.")] = "",
        outputs: Annotated[
            list[str] | None,
            typer.Option("--output", metavar="NAME", help="An artifact, written to NAME_path. Repeatable."),
        ] = None,
        packages: Annotated[
            list[str] | None,
            typer.Option("--package", metavar="REQ", help="What the step installs. Repeatable."),
        ] = None,
        image: Annotated[str, typer.Option("--image", help="What the step runs in.")] = "python:3.11-slim",
        as_json: AsJson = False,
    ) -> None:
        """Make a component from a notebook whose cells have Kale's tags.

        imports, functions, pipeline-parameters, pipeline-metrics, block:NAME with prev:NAME, and skip.
        """
        with told(as_json=as_json):
            from kfops.cli.notebook.component import Asked
            from kfops.cli.notebook.writing import write
            from kfops.cli.render import answer

            asked = Asked(notebook, name or out.stem, tuple(outputs or ()), tuple(packages or ()), image)
            answer(*write(asked, out), as_json=as_json)


def _words(made: typer.Typer) -> None:
    @made.command()
    def plan(
        command: Annotated[
            str, typer.Argument(metavar="COMMAND", help="As in a comment: '/deploy --run 7'.")
        ],
        as_json: AsJson = False,
    ) -> None:
        """Read a command as the bot would. The gates are asked in the pull request."""
        with told(as_json=as_json):
            from kfops.cli.planning import planned
            from kfops.cli.render import answer

            answer(*planned(command), as_json=as_json)

    @made.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
    def deploy(_context: typer.Context) -> None:
        """Deploying is done in the pull request; this says how."""
        with told(as_json=False):
            raise Stop(
                Exit.ELSEWHERE,
                "kfc does not deploy: a deployment has an author, a time and a record, so it happens in the pull request.",
                "Comment /staging_deploy there, then /deploy; /plan /deploy shows which gate would refuse it.",
            )


def _working(made: typer.Typer, factories: Factories) -> None:
    @made.command()
    def check(
        repo: Repo = HERE,
        override: Override = None,
        sets: Sets = None,
        compiles: Annotated[bool, typer.Option("--compile/--no-compile", help="Compile, too.")] = True,
        as_json: AsJson = False,
    ) -> None:
        """Is kfops.yaml right, does it compile, do the parameters fit?"""
        with told(as_json=as_json):
            from kfops.cli import desk, working

            job = desk.read(repo.absolute(), override, sets or [])
            working.check(job, _pipelines(factories, job) if compiles else None, as_json=as_json)

    @made.command()
    def build(
        repo: Repo = HERE,
        override: Override = None,
        sets: Sets = None,
        kubeflow_url: OnKubeflow = "",
        dry_run: DryRun = False,
        as_json: AsJson = False,
    ) -> None:
        """Compile in the sandbox, and keep the package for `run`."""
        with told(as_json=as_json):
            from kfops.cli import desk, working

            job = desk.read(repo.absolute(), override, sets or [], kubeflow_url)
            pipelines = _pipelines(factories, job)
            package = desk.compile_pipeline(job, pipelines)
            working.build(job, package, dry_run=dry_run, as_json=as_json)

    @made.command()
    def run(
        repo: Repo = HERE,
        override: Override = None,
        sets: Sets = None,
        package: Annotated[
            str | None, typer.Option("--package", metavar="DIGEST", help="A package that was built here.")
        ] = None,
        kubeflow_url: OnKubeflow = "",
        dry_run: DryRun = False,
        as_json: AsJson = False,
    ) -> None:
        """Run the last package that was built here. Without one, build it first."""
        with told(as_json=as_json):
            from kfops.cli import desk, working

            job = desk.read(repo.absolute(), override, sets or [], kubeflow_url)
            pipelines = _pipelines(factories, job)
            found = desk.last_package(job, pipelines, package)
            if found is not None and desk.is_older(job, found):
                typer.echo("Files changed after this package was built; kfc build-run takes them.", err=True)
            chosen = found or desk.compile_pipeline(job, pipelines)
            working.run(job, pipelines, chosen, dry_run=dry_run, as_json=as_json)

    def build_run(
        repo: Repo = HERE,
        override: Override = None,
        sets: Sets = None,
        kubeflow_url: OnKubeflow = "",
        dry_run: DryRun = False,
        as_json: AsJson = False,
    ) -> None:
        """Build, then run, and show the metrics and their gates."""
        with told(as_json=as_json):
            from kfops.cli import desk, working

            job = desk.read(repo.absolute(), override, sets or [], kubeflow_url)
            pipelines = _pipelines(factories, job)
            working.run(
                job, pipelines, desk.compile_pipeline(job, pipelines), dry_run=dry_run, as_json=as_json
            )

    made.command("build-run")(build_run)
    made.command("build_run", hidden=True)(build_run)


def _data(made: typer.Typer, factories: Factories) -> None:
    data = typer.Typer(help="Data sets.", no_args_is_help=True)
    made.add_typer(data, name="data")

    @data.command()
    def add(
        file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, Parquet or xlsx.")],
        target: Annotated[str | None, typer.Option(help="The column to predict; it must be there.")] = None,
        repo: Repo = HERE,
        as_json: AsJson = False,
    ) -> None:
        """Check, measure and store a table; its address is a value for --set data=…"""
        with told(as_json=as_json):
            from kfops.cli.desk import KEPT
            from kfops.cli.render import answer, data_set

            found = factories.data_sets(repo.absolute() / KEPT / "data").add(file, target=target)
            answer(*data_set(found), as_json=as_json)


def _pipelines(factories: Factories, job: Job) -> Pipelines:
    job.kept.mkdir(exist_ok=True)
    return factories.pipelines(job.kept, job.kubeflow_url)
