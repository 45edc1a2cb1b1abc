"""A bounty as its scientist holds it once it is posted: no chain is asked, and nothing is sent."""

from __future__ import annotations

from pathlib import Path

from pysonar.bounty.request import Bounty
from pysonar.campaign.opening import prepare
from pysonar.campaign.records import Records
from pysonar.campaign.rounds import RoundWork
from pysonar.keys.holder import KeyHolder
from pysonar.keys.job import Job
from sonar.home.journal import Journal
from sonar.manifests.model import ModelManifest
from sonar.ports import Store
from sonar.protocol.ids import Address, digest_of
from sonar.store.folder import FolderStore

PLACE = 31337, Address("0x" + "1" * 40), Address("0x" + "2" * 40)
"""Chain, contract and scientist."""


def opened(
    bounty: Bounty, holder: KeyHolder, folder: Path, store: Store
) -> tuple[Job, Records, RoundWork, ModelManifest]:
    """Return the job, its records and rounds, and the first model. `store` is where mines put updates."""
    copies = FolderStore(folder / "copies")
    posting = prepare(bounty, holder, copies)
    job = Job(*PLACE, bounty.terms, posting.model_manifest, digest_of(posting.key_manifest), posting.salt)
    records = Records(Journal(folder / "journal.sqlite"), "benchmark")
    work = RoundWork(store, copies, holder, records, bounty, job)
    return job, records, work, ModelManifest.from_bytes(posting.model_manifest)
