"""The ledger's tables, and their rows as records."""

from __future__ import annotations

from dataclasses import dataclass

from sonar.protocol.ids import Address, BountyId

SCHEMA = """
CREATE TABLE owner (name TEXT NOT NULL, entries INTEGER NOT NULL, head BLOB NOT NULL, before BLOB NOT NULL,
                    blind_until_s INTEGER NOT NULL);
CREATE TABLE nonce (nonce BLOB PRIMARY KEY, bounty BLOB NOT NULL, at_s INTEGER NOT NULL,
                    expires_s INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX nonce_of ON nonce (bounty, at_s);
CREATE TABLE bounty (bounty BLOB PRIMARY KEY, scientist TEXT NOT NULL, epoch INTEGER NOT NULL,
                     closed_s INTEGER) WITHOUT ROWID;
CREATE TABLE seeds (bounty BLOB, mine TEXT, hashes BLOB NOT NULL, PRIMARY KEY (bounty, mine)) WITHOUT ROWID;
CREATE TABLE ask (bounty BLOB, round INTEGER, mine TEXT, ask BLOB, bits INTEGER NOT NULL, told TEXT NOT NULL,
                  PRIMARY KEY (bounty, round, mine, ask)) WITHOUT ROWID;
CREATE INDEX ask_of ON ask (mine);
CREATE TABLE cohort (bounty BLOB, round INTEGER, digest BLOB NOT NULL, manifest BLOB NOT NULL,
                     opened INTEGER NOT NULL, PRIMARY KEY (bounty, round, digest)) WITHOUT ROWID;
CREATE TABLE answer (number INTEGER PRIMARY KEY, request BLOB NOT NULL UNIQUE, bounty BLOB NOT NULL,
                     round INTEGER NOT NULL, kind TEXT NOT NULL, at_s INTEGER NOT NULL, signed BLOB NOT NULL);
CREATE INDEX answer_of ON answer (bounty);
CREATE TABLE refusal (code TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
"""

SINCE = """
CREATE TABLE IF NOT EXISTS epoch (epoch INTEGER PRIMARY KEY, hpke BLOB NOT NULL);
"""
"""What later versions added, and earlier ones pass over."""


@dataclass(frozen=True)
class Ask:
    """One functional of a mine's answers: `digest` says all of what is asked, `told` what is answered."""

    mine: Address
    digest: bytes
    bits: int
    told: tuple[int, ...]


@dataclass(frozen=True)
class Answered:
    """An answer that was signed: `signed` is the whole of it, as it went out."""

    request: bytes
    bounty: BountyId
    round: int
    kind: str
    at_s: int
    signed: bytes


@dataclass(frozen=True)
class BountyFacts:
    """A bounty that was served: whose, with the key of which epoch, and when it was seen closed."""

    bounty: BountyId
    scientist: Address
    epoch: int
    closed_s: int | None
