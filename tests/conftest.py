from pathlib import Path

import pytest

from tests.playing import Stage
from tests.project import Project

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
