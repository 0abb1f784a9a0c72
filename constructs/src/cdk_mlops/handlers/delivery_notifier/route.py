"""The way of a commit: the pipeline's stages, and which stages of the installation they deploy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.aws import console_host
from shared.environment import EnvironmentProblem


@dataclass(frozen=True)
class Route:
    """The pipeline as its messages see it.

    Parameters
    ----------
    stages
        Pairs of a stage of the pipeline and the stage of the installation that it deploys, in order.
    approvals
        Actions by which people let a commit pass: one that waits is told of.
    gates
        Builds that answer an approval beside them: one that fails leaves it waiting, which is told of.
    releases
        Whether model versions travel here, and not commits.
    """

    pipeline: str
    stages: tuple[tuple[str, str], ...]
    approvals: tuple[str, ...]
    region: str
    gates: tuple[str, ...] = ()
    releases: bool = False

    @classmethod
    def read(
        cls,
        *,
        pipeline: str,
        stages: Sequence[str],
        approvals: Sequence[str],
        region: str,
        gates: Sequence[str] = (),
    ) -> Route:
        """Read stages as they stand in the environment, such as ``RegistryAndDev=dev``.

        Raises
        ------
        EnvironmentProblem
            One is no such pair.
        """
        pairs = [tuple(one.split("=")) for one in stages]
        for pair, text in zip(pairs, stages, strict=True):
            if len(pair) != 2 or not all(pair):
                raise EnvironmentProblem(
                    f"the environment variable STAGES must hold pairs such as Prod=prod, got '{text}'"
                )
        return cls(pipeline, tuple((one[0], one[1]) for one in pairs), tuple(approvals), region, tuple(gates))

    def target(self, stage: str) -> str | None:
        """Stage of the installation that a stage of the pipeline deploys; None where it deploys none."""
        return dict(self.stages).get(stage)

    def before(self, stage: str) -> list[str]:
        """Stages of the installation that a commit has passed when it comes to a stage of the pipeline."""
        names = [name for name, _ in self.stages]
        return [target for _, target in self.stages[: names.index(stage)]] if stage in names else []

    def after(self, stage: str) -> list[str]:
        """Stages of the installation that come later; all of them where the pipeline's stage deploys none."""
        names = [name for name, _ in self.stages]
        start = names.index(stage) + 1 if stage in names else 0
        return [target for _, target in self.stages[start:]]

    @property
    def last(self) -> str:
        """Stage of the installation that a commit arrives in."""
        return self.stages[-1][1]

    def page(self, execution_id: str | None = None) -> str:
        """Page of the console: the pipeline, or one of its executions."""
        place = "view" if execution_id is None else f"executions/{execution_id}/visualization"
        host = console_host(self.region)
        return f"https://{host}/codesuite/codepipeline/pipelines/{self.pipeline}/{place}?region={self.region}"
