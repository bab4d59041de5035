"""Two people for the tests of this folder."""

import pytest
from training_faces import made_faces


@pytest.fixture(scope="session")
def people():
    return made_faces(24, 1), made_faces(24, 2)
