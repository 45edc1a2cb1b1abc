"""What a data set comes to in a bounty: read and summed up once, released once, and kept while that lasts.

The journal names the sums by their digest (`Joined.map_digest`), and the bytes lie in a private folder of the
home under that name. So an update costs no second reading of the data; only that they are the same is looked
at in every round. What is lost or damaged there is computed anew, and must have the same digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from mine.data.dataset import DataSet
from mine.work import trainer
from mine.work.release import Release, unchanged
from mine.work.state import Joined
from mine.work.trainer import Task
from sonar.families.base import Prepared
from sonar.home.private import PrivateFolder

KEPT_BYTES = 16 << 20
"""Larger sums are computed again by each process."""


class Sums:
    """The sums of data sets for bounties. Methods raise JournalBlocked for a disk that is full."""

    def __init__(self, folder: PrivateFolder, release: Release = unchanged) -> None:
        self._folder, self._release = folder, release

    def make(self, task: Task, dataset: DataSet) -> Prepared:
        """Return the released sums, after every check that protects the rows, and keep them.

        Raises what `trainer.prepare` does.
        """
        sums = self._release(trainer.prepare(task, dataset), dataset)
        data = sums.to_bytes()
        if len(data) <= KEPT_BYTES:
            self._folder.put(sums.digest(), data)
        return sums

    def of(self, task: Task, joined: Joined) -> Prepared:
        """Return the sums that a bounty was joined with. Raises DataError if the data have changed.

        And what `make` does, if they must be computed again.
        """
        kept = self._folder.get(joined.map_digest)
        if kept is not None and hashlib.sha256(kept).hexdigest() == joined.map_digest:
            joined.dataset.verify()
            return trainer.restored(task, kept)
        sums = self.make(task, joined.dataset)
        trainer.check_map(sums, joined.map_digest)
        return sums

    def keep_only(self, joined: Iterable[Joined]) -> None:
        """Remove the sums of all but these bounties."""
        self._folder.keep_only(one.map_digest for one in joined)
