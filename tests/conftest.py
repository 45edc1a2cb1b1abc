"""Settings for all tests."""

import signal

from hypothesis import settings

# A shell that runs us in the background has us ignore Ctrl-C, and what we start inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long one example takes depends on what else the machine does; pytest's own timeout catches what hangs.
settings.register_profile("sonar", deadline=None)
settings.load_profile("sonar")
