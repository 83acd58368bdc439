import functools

import pytest
from tests.integration.place import TRAINING, Place
from tests.oracle import nyc_green as oracle


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture(scope="session")
def nyc(real_data):
    return real_data / "nyc"


@pytest.fixture(scope="session")
def oracle_model(nyc):
    """Kind of model -> the oracle's model of January 2021, fitted once."""
    return functools.cache(lambda kind: oracle.KINDS[kind](nyc / TRAINING, "green"))


@pytest.fixture(scope="session")
def january(nyc):
    """The first 20,000 trips of January 2021, for models that are fitted in a test."""
    return oracle.read_trips(nyc / TRAINING)[:20_000]
