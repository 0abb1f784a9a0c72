"""The adapter says in one line what ministack lacks."""

from __future__ import annotations

import pytest

from local_cloud.adapter import hooks


def test_the_installed_ministack_has_every_hook_point() -> None:
    hooks.check_hook_points()


def test_a_missing_hook_point_is_named_with_the_version_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        hooks, "HOOK_POINTS", {"core.router": ("no_such_name",), "services.no_such_module": ("x",)}
    )
    with pytest.raises(
        hooks.MissingHookError, match=r"lacks ministack\.core\.router\.no_such_name, "
    ) as error:
        hooks.check_hook_points()
    assert "pip install ministack==1.5.33" in str(error.value)
    assert "\n" not in str(error.value)
