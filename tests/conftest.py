"""Settings for all tests."""

import signal
from collections.abc import Iterator

import pytest
import stamina
from hypothesis import settings

# A shell that runs us in the background has us ignore Ctrl-C, and what we start inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long one example takes depends on what else the machine does; pytest's own timeout catches what hangs.
settings.register_profile("sonar", deadline=None)
settings.load_profile("sonar")


@pytest.fixture
def no_backoff() -> Iterator[None]:
    """A node that does not answer is asked as often as ever, with no pauses: the tests' own chains answer."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield
