"""Benchmarks of Sonar's encrypted arithmetic against its peers. Run `python -m benchmarks --help`."""

import os

# Before numpy is loaded: contenders compute on one core unless a measure says otherwise, and a second thread
# of BLAS would be charged for its waiting.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
