"""The steps' fixtures, and the handlers where Lambda has them."""

from tests.handlers.conftest import HANDLERS  # noqa: F401 - puts the handlers on the path
from tests.steps.conftest import bench, files, part1  # noqa: F401 - fixtures
