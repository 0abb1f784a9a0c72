"""A feature branch in dev: the names that keep it apart from main and from every other branch.

Two hyphens in a row mark what is a branch's: names of models hold single ones only, so no pattern of theirs, such as
``mammo-severity-train-*``, covers a branch's, nor the other way round.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace

from stacks.installation import STACKS, BranchOf, Model, Settings
from stacks.section import SettingsError

# The library's limits of a prefix and of a name, and what leaves room for a person's role.
PREFIX_LENGTH, NAME_LENGTH, PEOPLE_LENGTH = 32, 63, 45
_SLUG_LENGTH = 40
# The longest prefix of a model, 24, stays whole with it: permissions to deploy are narrowed to what begins so.
_DIGEST_LENGTH = 6
# A job's name keeps 24 characters of its own: half of them and more may be the model's, the rest tell the branch.
_JOB_HEAD_LENGTH, _JOB_DIGEST_LENGTH = 14, 8
MARK = "--"


@dataclass(frozen=True)
class Branch:
    """A feature branch.

    Parameters
    ----------
    name
        As git has it. At least one letter or digit of ASCII.

    Raises
    ------
    SettingsError
        If it can't be one; one line.
    """

    name: str

    def __post_init__(self) -> None:
        """Check the name."""
        if not isinstance(self.name, str) or not re.search(r"[a-zA-Z0-9]", self.name):
            raise SettingsError(
                "branch must name a feature branch, such as feature/faster-trees, by at least one letter a-z or digit,"
                f" got {self.name!r}"
            )

    @property
    def slug(self) -> str:
        """Return the name in lower-case letters, digits and single hyphens, at most 40.

        Where that isn't the name itself, but for one slash, it ends with a digest: ``feature/x`` and ``feature-x`` are
        two branches.
        """
        plain = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")
        looks_cut = re.search(rf"-[0-9a-f]{{{_DIGEST_LENGTH}}}$", plain)
        if len(plain) <= _SLUG_LENGTH and not looks_cut and self.name == plain.replace("-", "/", 1):
            return plain
        return _cut(plain, _SLUG_LENGTH, _digest(self.name))

    @property
    def stack_name(self) -> str:
        """Return the name of its stack, which sits beside dev's."""
        return f"{STACKS['dev']}-{self.slug}"

    @property
    def people_prefix(self) -> str:
        """Return what the name of its people's role begins with."""
        return self.beside("mlops", PEOPLE_LENGTH)

    def people_role_arn(self, settings: Settings) -> str:
        """Return the role of its data scientists."""
        name = f"{self.people_prefix}-dev-data-scientist"
        return (
            f"arn:{settings.partition}:iam::{settings.accounts['dev']}:role/mlops/dev/data-scientist/{name}"
        )

    @property
    def tag(self) -> str:
        """Return the name with the characters that a tag's value may have."""
        return re.sub(r"[^\w.:/=+@-]", "-", self.name, flags=re.ASCII)[:256]

    def beside(self, name: str, longest: int) -> str:
        """Return the branch's counterpart of one of main's names."""
        whole = f"{name}{MARK}{self.slug}"
        if len(whole) <= longest:
            return whole
        # What was cut could be another model's or another branch's, too: the digest is of both.
        head = name[: longest - len(MARK) - _DIGEST_LENGTH].rstrip("-")
        room = longest - len(head) - len(MARK)
        return f"{head}{MARK}{_cut(self.slug, room, _digest(name, self.name))}"

    def job_prefix(self, prefix: str) -> str:
        """Return what names of jobs begin with: its last part has one length and no hyphen, so that no branch's
        pattern covers another's.
        """
        head = prefix[:_JOB_HEAD_LENGTH].rstrip("-")
        return f"{head}{MARK}{_digest(prefix, self.name, length=_JOB_DIGEST_LENGTH)}"

    def model(self, model: Model) -> Model:
        """Return a model as the branch has it: its own names, main's data."""
        return replace(
            model,
            prefix=self.beside(model.prefix, PREFIX_LENGTH),
            model_name=self.beside(model.model_name, NAME_LENGTH),
            model_package_group=self.beside(model.model_package_group, NAME_LENGTH),
            branch_of=BranchOf(
                prefix=model.prefix, model_name=model.model_name, job_prefix=self.job_prefix(model.prefix)
            ),
        )

    def settings(self, settings: Settings) -> Settings:
        """Return an installation as the branch has it."""
        return replace(settings, models=tuple(self.model(model) for model in settings.models))


def _digest(*words: str, length: int = _DIGEST_LENGTH) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:length]


def _cut(text: str, longest: int, digest: str) -> str:
    head = text[: max(0, longest - len(digest) - 1)].rstrip("-")
    return f"{head}-{digest}" if head else digest
