"""Settings for all tests."""

from hypothesis import settings

# How long one example takes depends on what else the machine does; pytest's own timeout catches what hangs.
settings.register_profile("sonar", deadline=None)
settings.load_profile("sonar")
