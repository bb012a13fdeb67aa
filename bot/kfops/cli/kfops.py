"""`kfops`: the operators' command."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from kfops.cli.exits import Exit, Stop, epilog, told
from kfops.cli.factories import Services

AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]


def app(services: Services) -> typer.Typer:
    made = typer.Typer(
        help="Run the bot, a forge to play with, and read the audit trail. Settings: KFOPS_… variables.",
        epilog=epilog(),
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # rich costs half of the start-up of --help
    )
    _serving(made, services)
    _audit(made, services)
    _setup(made, services)
    _doctor(made, services)
    return made


def _serving(made: typer.Typer, services: Services) -> None:
    @made.command()
    def serve() -> None:
        """Run the bot until it is told to stop."""
        with told(as_json=False):
            services.serve()

    @made.command()
    def playground(
        port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 0,
        repo: Annotated[
            list[Path] | None,
            typer.Option("--repo", metavar="DIR", help="A folder to bring in as a repository. Repeatable."),
        ] = None,
    ) -> None:
        """Run the forge alone, on this machine, in the foreground."""
        with told(as_json=False), tempfile.TemporaryDirectory(prefix="kfops-playground-") as folder:
            try:
                services.playground(port, Path(folder), repo or [])
            except ValueError as wrong:
                raise Stop(Exit.USAGE, str(wrong)) from wrong

    @made.command()
    def demo(
        once: Annotated[bool, typer.Option("--once", help="Play it and end.")] = False,
        report: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Write down, as JSON, what happened.")
        ] = None,
        port: Annotated[int, typer.Option(help="Of the forge; 0 takes a free one.", min=0, max=65535)] = 0,
        bot_port: Annotated[int, typer.Option(help="Of the bot; 0 takes a free one.", min=0, max=65535)] = 0,
    ) -> None:
        """Play the whole story on this machine. It has a forge, a model repository, the bot and a canary."""
        with told(as_json=False):
            raise SystemExit(services.demo(once, report, port, bot_port))


def _doctor(made: typer.Typer, services: Services) -> None:
    @made.command()
    def doctor(as_json: AsJson = False) -> None:
        """Try everything that the settings name, and say how to mend what does not work. Exit code 5 when something
        is wrong.
        """
        with told(as_json=as_json):
            from kfops.cli import examining
            from kfops.cli.render import answer

            answer(*examining.told(services.examine()), as_json=as_json)


def _setup(made: typer.Typer, services: Services) -> None:
    setup = typer.Typer(help="Register the bot where it shall work.", no_args_is_help=True)
    made.add_typer(setup, name="setup")

    @setup.callback()
    def group() -> None:
        """A group of its own, however few commands it has."""

    @setup.command()
    def github(
        url: Annotated[str, typer.Option(help="Where the forge reaches the bot: https://kfops.example.com")],
        name: Annotated[str, typer.Option(help="The app's name, unique on the forge.")] = "kfops",
        organisation: Annotated[
            str, typer.Option(metavar="ORG", help="Owner of the app; else your own account.")
        ] = "",
        out: Annotated[
            Path, typer.Option(metavar="DIR", help="Where kfops.env and the private key are written.")
        ] = Path(),
        port: Annotated[int, typer.Option(help="Of the page on this machine; 0 takes a free one.")] = 0,
    ) -> None:
        """Make the GitHub App with exactly the permissions that the bot needs, and keep its credentials."""
        with told(as_json=False):
            from kfops.cli.setup_github import ENVIRONMENT, Wizard, run

            page = run(Wizard(services.registration(), name, url, organisation, out), port)
            print(f"Written: {out / ENVIRONMENT}. Install the app: {page}/installations/new")
            print(f"Then: set -a; . {out / ENVIRONMENT}; set +a; kfops serve")


def _audit(made: typer.Typer, services: Services) -> None:
    audit = typer.Typer(help="The audit trail of the ledger.", no_args_is_help=True)
    made.add_typer(audit, name="audit")

    @audit.command()
    def verify(as_json: AsJson = False) -> None:
        """See whether every entry follows from the one before it. Exit code 1 when one does not."""
        with told(as_json=as_json):
            from kfops.cli.auditing import verified
            from kfops.cli.render import answer

            answer(*verified(services.ledger()), as_json=as_json)

    @audit.command()
    def show(
        pr: Annotated[int, typer.Option("--pr", metavar="N", help="The pull request.", min=1)],
        repository: Annotated[
            str, typer.Option(metavar="OWNER/NAME", help="Needed only where the ledger has several.")
        ] = "",
        as_json: AsJson = False,
    ) -> None:
        """Who did what to a pull request, oldest first."""
        with told(as_json=as_json):
            from kfops.cli.auditing import shown
            from kfops.cli.render import answer

            answer(*shown(services.ledger(), services.secrets(), pr, repository), as_json=as_json)
