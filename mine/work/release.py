"""What is done to a data set's sums before any bounty sees them: nothing so far.

This is where noise will stand, added once for each data set and paid from its budget. It comes after the sums
are made and before they are kept, so that every answer of every round is made of the same released sums.
"""

from __future__ import annotations

from typing import Protocol

from mine.data.dataset import DataSet
from sonar.families.base import Prepared


class Release(Protocol):
    """Turns a data set's sums into those that answers are made of."""

    def __call__(self, sums: Prepared, dataset: DataSet) -> Prepared:
        """Return what is released of these sums. Raises ConsentError if the data set may tell no more."""
        ...


def unchanged(sums: Prepared, dataset: DataSet) -> Prepared:
    """Return the sums as they are."""
    return sums
