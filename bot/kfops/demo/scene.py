"""The scene: three models on their way to production, one of them back again, and what is refused."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kfops.demo import callers
from kfops.demo import report as reporting
from kfops.demo.ask import Conversation, Reply, serving_url
from kfops.demo.desk import Desk
from kfops.demo.ending import how_to_go_on, summary
from kfops.demo.story import SceneError, Story, wait_for
from kfops.demo.traffic import Load, LoadReport
from kfops.demo.variants import BETTER, BROKEN, FIRST, STRICT, Variant
from kfops.demo.world import OWNER, READER, REPOSITORY, REVIEWER, Ports, World, world

PRODUCTION_LABEL = "Deployed-to-production"
RATE_PER_S = 60.0
_RUN_WITHIN_S, _DEPLOY_WITHIN_S, _SOON_S = 180.0, 180.0, 30.0
_EVERY_UNKNOWN = 3  # of the callers' rows, once the unknown way to pay is around


class Scene:
    """Everything that people do, in order. Each step tells the story, and expects."""

    def __init__(self, world: World, story: Story, template: Path) -> None:
        self.world, self.story = world, story
        self.owner, self.reviewer = world.people[OWNER], world.people[REVIEWER]
        self.desk = Desk(world.folder / "desk", world.remote, self.owner, REPOSITORY)
        self.conversations: list[Conversation] = []
        self.template = template
        self.table = template / "data" / "churn.csv"
        self.sample = callers.bodies(self.table)[0]
        self.load: LoadReport | None = None

    def play(self) -> None:
        self.desk.start(self.template)
        self.story.tell(f"{OWNER} pushed the model repository to {REPOSITORY}; production serves nothing yet")
        first = self._first_model()
        second = self._better_model(first)
        self._failing_model(second)
        self._broken_pipeline()

    def _first_model(self) -> str:
        conversation = self._propose(FIRST)
        self._build_and_stage(conversation)
        self._to_production(conversation)
        version = self._version("production")
        self.story.expect(
            bool(version), "a prediction asked of production comes from the first model", version
        )
        self.story.tell(f"production answers with version {version}", conversation.number)
        return version

    def _better_model(self, first: str) -> str:
        earlier = self.conversations[-1]
        conversation = self._propose(BETTER)
        self._build_and_stage(conversation)
        with self._callers() as load:
            self._to_production(conversation)
            version = self._version("production")
        self.load = load.stop()
        self.story.expect(version not in {"", first}, "production answers with the second model", version)
        self.story.expect(
            not self.load.lost, "no request was lost during the second deployment", self.load.losses[:3]
        )
        answers = ", ".join(
            f"{count} by version {one}" for one, count in sorted(self.load.by_version.items())
        )
        self.story.tell(
            f"{self.load.sent} requests were sent meanwhile, {self.load.lost} lost: {answers}",
            conversation.number,
        )
        labels = earlier.labels()
        self.story.expect(
            PRODUCTION_LABEL not in labels, "the label moved away from the first pull request", labels
        )
        return version

    def _failing_model(self, second: str) -> None:
        conversation = self._propose(STRICT)
        self._build_and_stage(conversation)
        refused = self._command(conversation, READER, "/deploy", "refused", _SOON_S)
        named = READER in refused.body and "Ask somebody" in refused.body
        self.story.expect(named, f"{READER} is told why and what to do", refused.body[:300])
        with self._callers(_EVERY_UNKNOWN):
            reply = self._command(conversation, OWNER, "/deploy", "did not succeed", _DEPLOY_WITHIN_S)
        version, pull = self._version("production"), conversation.pull()
        self.story.expect("errors" in reply.body, "the reply says that the errors decided", reply.headline)
        self.story.expect(version == second, "production goes on with the second model", version)
        self.story.expect(
            pull["state"] == "open" and not pull["merged"], "the third pull request stays open", pull["state"]
        )
        self.story.tell(f"taken back: production still answers with version {version}", conversation.number)

    def _broken_pipeline(self) -> None:
        conversation = self._propose(BROKEN)
        text = (self.desk.folder / "pipeline.py").read_text().splitlines()
        line = next(number for number, one in enumerate(text, 1) if "trian(" in one)
        reply = self._command(conversation, OWNER, "/build_run", "did not succeed", _RUN_WITHIN_S)
        pointed = re.search(rf"pipeline\.py\D{{1,20}}{line}\b", reply.body)
        self.story.expect(bool(pointed), f"the reply points at line {line} of pipeline.py", reply.body[:600])

    def _propose(self, variant: Variant) -> Conversation:
        conversation = self.desk.propose(variant)
        self.conversations.append(conversation)
        self.story.tell(f"{OWNER} opened “{variant.title}”", conversation.number)
        return conversation

    def _build_and_stage(self, conversation: Conversation) -> None:
        self._command(conversation, OWNER, "/build_run", "succeeded", _RUN_WITHIN_S)
        self._command(conversation, OWNER, "/staging_deploy", "succeeded", _DEPLOY_WITHIN_S)
        conversation.approve(self.reviewer)
        self.story.tell(f"{REVIEWER} approved", conversation.number)

    def _to_production(self, conversation: Conversation) -> None:
        self._command(conversation, OWNER, "/deploy", "succeeded", _DEPLOY_WITHIN_S)
        pull, labels = conversation.pull(), conversation.labels()
        number = conversation.number
        self.story.expect(
            PRODUCTION_LABEL in labels, f"pull request {number} has the label {PRODUCTION_LABEL}", labels
        )
        self.story.expect(
            pull["merged"] and pull["state"] == "closed",
            f"pull request {number} is merged and closed",
            pull["state"],
        )

    def _command(
        self, conversation: Conversation, login: str, text: str, ending: str, within_s: float
    ) -> Reply:
        """Says it and waits. SceneError where it ends in another way, for everything after would fail too."""
        self.story.tell(f"{login}: {text}", conversation.number)
        reply = conversation.command(
            self.world.people[login],
            text,
            within_s,
            lambda line: self.story.tell(f"kfops: {line}", conversation.number),
        )
        expected = f"`{text}` of {login} in pull request {conversation.number}: {ending}"
        self.story.expect(reply.ending == ending, expected, reply.ending)
        if reply.ending != ending:
            raise SceneError(
                f"{expected} was expected, but it {reply.ending}. The bot's words:\n{reply.body}"
            )
        return reply

    def _version(self, environment: str) -> str:
        found = wait_for(
            lambda: reporting.serving(self.owner, environment, self.sample)["model_version"],
            f"a prediction of {environment}",
            _SOON_S,
            last=self.world.log_tail,
        )
        return str(found)

    @contextmanager
    def _callers(self, every_unknown: int = 0) -> Iterator[Load]:
        url = serving_url(self.owner, REPOSITORY, "production")
        if url is None:
            raise SceneError("no deployment to production has an address; expected `environment_url`")
        sent = callers.bodies(self.table, every_unknown=every_unknown)
        self.story.tell(
            f"callers send {RATE_PER_S:.0f} requests a second to {url}"
            + (", a third of them with a way to pay that no table shows" if every_unknown else "")
        )
        with Load(f"{url}/predict", sent, RATE_PER_S) as load:
            yield load


def play(
    *,
    once: bool,
    report: Path | None = None,
    template: Path | None = None,
    data_dir: Path | None = None,
    ports: Ports = Ports(),  # noqa: B008 - frozen
    say: Callable[[str], object] = print,
    until: threading.Event | None = None,
) -> int:
    """The whole demo; 0 when everything went as the scene expects, 1 otherwise.

    Unless `once`, it stays up until `until` is set, Ctrl+C or SIGTERM.
    """
    story = Story(say)
    with _ended_by_signals(until or threading.Event()) as stop:
        try:
            with world(data_dir, ports) as made:
                story.tell(f"forge: {made.forge_url}, bot: {made.bot_url}")
                _play(made, story, template or _template(), report)
                if not once:
                    how_to_go_on(made, say)
                    with suppress(KeyboardInterrupt):
                        stop.wait()
        except KeyboardInterrupt:
            say("ended")
            return 1
        except SceneError as error:
            say(f"\nThe scene stopped: {error}")
            return 1
    return 0 if story.is_as_expected else 1


def _play(made: World, story: Story, template: Path, report_file: Path | None) -> None:
    scene = Scene(made, story, template)
    try:
        scene.play()
    except SceneError as error:
        story.tell("the scene stopped")
        raise SceneError(f"{error}\n\nThe end of the bot's log:\n{made.log_tail()}") from error
    finally:
        found = reporting.collect(made, scene.conversations, story, scene.sample)
        if report_file is not None:
            reporting.write(report_file, found)
        summary(found, story)


def _template() -> Path:
    """Beside the sources in a checkout; in the package where it is installed."""
    import kfops

    package = Path(kfops.__file__).resolve().parent
    for folder in (package / "pipeline_template", package.parents[1] / "pipeline_template"):
        if (folder / "kfops.yaml").is_file():
            return folder
    raise SceneError(f"no pipeline_template in {package} or beside it")


@contextmanager
def _ended_by_signals(stop: threading.Event) -> Iterator[threading.Event]:
    """SIGTERM ends the demo as Ctrl+C does: with everything that it started."""
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
