"""Who can do what, computed from the templates, is what intent.yaml says: every principal, action and situation."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.permissions.intent import Intent
from tests.permissions.kinds import KINDS
from tests.permissions.matrices import MAIN, OTHERS, beside, matrix
from tests.permissions.page import PAGE, page
from tests.permissions.policy import wildcard

pytestmark = pytest.mark.xdist_group("permissions")


@pytest.mark.parametrize("name", [MAIN, *OTHERS])
def test_nobody_can_do_more_or_less_than_is_meant(name: str) -> None:
    wrong = [str(one) for one in islice(matrix(name).differences(beside(name)), 20)]
    assert not wrong, "\n".join(["the policies are not what tests/permissions/intent.yaml means:", *wrong])


def test_the_page_for_reviewers_is_what_the_policies_decide() -> None:
    assert page(matrix()) == PAGE.read_text(), (
        "docs/permissions.md is of other policies: make permissions-page"
    )


def test_every_group_of_the_intent_is_somebody() -> None:
    assert set.intersection(*(set(matrix(name).intent.nobody) for name in (MAIN, *OTHERS))) == set()


def test_every_action_that_a_policy_names_is_tried_on_something() -> None:
    tried = {action.lower() for actions in KINDS.values() for action in actions}
    named = {
        pattern.lower()
        for role in matrix().estate.roles.values()
        for statement in (*role.identity, *role.trust)
        for pattern in statement.actions or ()
    } | {
        pattern.lower()
        for _, policy in matrix().estate.policies.values()
        for statement in policy
        for pattern in statement.actions or ()
    }
    assert sorted(one for one in named if not any(wildcard(one, action) for action in tried)) == []


def test_every_role_and_every_resource_with_a_policy_is_among_those_tried() -> None:
    everybody = {one.role for one in matrix().everybody}
    assert set(matrix().estate.roles) <= everybody
    owners = set(matrix().owners.values())
    assert sorted(arn for arn in matrix().estate.policies if arn not in owners) == []


def test_a_difference_names_who_what_where_when_and_which_side_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = matrix()
    approver = next(one for one in found.everybody if "approver" in one.groups)
    with monkeypatch.context() as patch:
        patch.setattr(Intent, "allows", lambda *_: False)
        patch.setattr(found, "everybody", [approver])
        said = [str(one) for one in found.differences()]
    assert (
        "mlops-registry-approver: sagemaker:UpdateModelPackage on arn:aws:sagemaker:us-east-1:333333333333:"
        "model-package/wine-quality-model-package/7 [versions] (as approved): the policies allow it, the intent doesn't"
    ) in said
