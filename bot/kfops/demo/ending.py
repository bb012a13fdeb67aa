"""How the scene ended, in tables, and how to go on by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kfops.demo.story import Story
from kfops.demo.world import OWNER, REPOSITORY, World


def summary(found: dict[str, Any], story: Story) -> None:
    """Printed through the story's own voice, so that whoever listens gets it too."""
    from io import StringIO

    from rich.console import Console
    from rich.table import Table

    pulls = Table("pull request", "state", "labels", title="How it ended", title_justify="left")
    for pull in found["pull_requests"]:
        state = f"merged as {pull['merge_sha'][:7]}" if pull["merged"] else pull["state"]
        pulls.add_row(f"#{pull['number']}", state, ", ".join(pull["labels"]))
    serving = Table("environment", "model version", "digest", "address")
    for name, one in found["serving"].items():
        serving.add_row(name, one["model_version"] or "-", (one["digest"] or "-")[:12], one["url"] or "-")
    output = StringIO()
    console = Console(file=output, width=110)
    console.print(pulls)
    console.print(serving)
    story.say(output.getvalue().rstrip())
    for one in story.expectations:
        story.say(
            f"{'ok ' if one.holds else 'NOT'} {one.what}" + ("" if one.holds else f"; found: {one.found}")
        )
    met = sum(one.holds for one in story.expectations)
    story.say(f"{met} of {len(story.expectations)} expectations hold, after {story.seconds:.0f} s")


def how_to_go_on(world: World, say: Callable[[str], object]) -> None:
    owner = world.people[OWNER]
    say(
        f"\nThe demo stays up. Pull requests, and a box to type commands into: {world.forge_url}/{REPOSITORY}"
    )
    for person in world.people.values():
        say(f"  {person.login:<6} token {person.token}")
    address = world.forge_url.replace("://", f"://{owner.login}:{owner.token}@")
    say("Try the bot on a model repository of your own, then open pull requests on its page:")
    headers = f"-H 'Authorization: Bearer {owner.token}' -H 'Content-Type: application/json'"
    say(f'  curl {headers} -d \'{{"name": "mine"}}\' {world.api_url}/user/repos')
    say(f"  git push {address}/{OWNER}/mine.git HEAD:main")
    say(f"The bot's log: {world.log}. Ctrl+C ends all of it.")
