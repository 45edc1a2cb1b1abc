"""What capsules tell, checked: who signed it, to which question it is, its shape and its ranges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gmpy2 import mpz

from sonar.chain.signatures import key_fault, signer_of
from sonar.errors import CapsuleComplains, CapsuleFault, ConfigError, RemoteError
from sonar.manifests.audit import SettlementAnswer
from sonar.manifests.capsule import (
    Complaint,
    FunctionalAnswer,
    FunctionalRequest,
    Identity,
    SignedAnswer,
    SumAnswer,
)
from sonar.manifests.model import CapsuleKey
from sonar.protocol.capsules import answer_digest
from sonar.protocol.ids import Address, digest_of
from sonar.veil.masks import WORD_BYTES
from sonar.veil.words import read_words
from sonar.verifying.identity import former, identity_in

A = TypeVar("A", SumAnswer, FunctionalAnswer, SettlementAnswer, Identity)
Told = tuple[int, ...]
"""What is told of one class: a number for each ask, or for each ciphertext."""
ByClass = Mapping[int, Told]
Reader = Callable[[Address, Sequence[int], SignedAnswer], ByClass]
"""Reads the answer of a capsule that holds these classes. Raises CapsuleFault, CapsuleComplains."""
WHO = "whoever runs it must look into it; the others' answers can do without it"


@dataclass(frozen=True)
class Place:
    """The network on which a signature counts."""

    chain_id: int
    contract: Address

    def signed(self, capsule: Address, answer: SignedAnswer) -> bytes:
        """Return the body of an answer that the capsule's account signed. Raises CapsuleFault."""
        if signer_of(answer_digest(self.chain_id, self.contract, answer.body), answer.signature) != capsule:
            hint = f"is the address in network.toml that of {capsule}, and on this network? {WHO}"
            raise _fault(capsule, "did not sign its answer", hint)
        return answer.body

    def sums(self, body: bytes, ciphertexts: int, n: mpz) -> Reader:
        """Return what reads answers to a SumRequest: numbers in [0, n), one for each ciphertext."""
        width = (int(n.bit_length()) + 7) // 8

        def read(capsule: Address, classes: Sequence[int], answer: SignedAnswer) -> ByClass:
            told = self._sums(capsule, classes, answer, body, (ciphertexts, width))
            numbers = (
                tuple(int.from_bytes(one[i : i + width]) for i in range(0, len(one), width)) for one in told
            )
            found = dict(zip(classes, numbers, strict=True))
            if any(number >= n for one in found.values() for number in one):
                raise _fault(capsule, "sends a sum that is not below n")
            return found

        return read

    def word_sums(self, body: bytes, count: int) -> Reader:
        """Return what reads answers to a SumRequest of answers in words: numbers modulo 2^64, so many."""

        def read(capsule: Address, classes: Sequence[int], answer: SignedAnswer) -> ByClass:
            told = self._sums(capsule, classes, answer, body, (count, WORD_BYTES))
            return {c: tuple(read_words(one, count).tolist()) for c, one in zip(classes, told, strict=True)}

        return read

    def _sums(
        self,
        capsule: Address,
        classes: Sequence[int],
        answer: SignedAnswer,
        body: bytes,
        shape: tuple[int, int],
    ) -> tuple[bytes, ...]:
        """Return what an answer tells of each class. `shape`: how many numbers, and bytes of each. Raises
        CapsuleFault.
        """
        told, (count, width) = _parsed(SumAnswer, capsule, self.signed(capsule, answer)), shape
        _check_to(capsule, told, body)
        if len(told.sums) != len(classes) or any(len(one) != count * width for one in told.sums):
            raise _fault(capsule, f"sends sums of another shape than {count} for each class")
        return told.sums

    def functionals_again(self, body: bytes) -> Reader:
        """Return what reads answers to a FunctionalRequest that is on record. Raises ManifestError."""
        return self.functionals(body, [ask.bits for ask in FunctionalRequest.from_bytes(body).asks])

    def functionals(self, body: bytes, bits: Sequence[int]) -> Reader:
        """Return what reads answers to a FunctionalRequest whose asks are for so many bits each, and
        complaints.
        """

        def read(capsule: Address, classes: Sequence[int], answer: SignedAnswer) -> ByClass:
            signed = self.signed(capsule, answer)
            if (complaint := Complaint.found_in(signed)) is not None:
                raise _complained(capsule, complaint, body)
            told = _parsed(FunctionalAnswer, capsule, signed)
            _check_to(capsule, told, body)
            if len(told.values) != len(bits) or any(len(one) != len(classes) for one in told.values):
                raise _fault(capsule, f"does not tell {len(classes)} numbers for each of {len(bits)} asks")
            if any(value >> most for one, most in zip(told.values, bits, strict=True) for value in one):
                raise _fault(capsule, "tells more bits than it was asked for")
            columns = zip(*told.values, strict=True)
            return dict(zip(classes, columns, strict=True))

        return read

    def settlement(self, capsule: Address, body: bytes, digest: bytes, answer: SignedAnswer) -> bytes:
        """Return a capsule's signature of a settlement, 65 bytes over `digest`. Raises CapsuleFault."""
        told = _parsed(SettlementAnswer, capsule, self.signed(capsule, answer))
        _check_to(capsule, told, body)
        if told.settlement != digest or signer_of(digest, told.signature) != capsule:
            raise _fault(capsule, "signed another settlement than it was asked about")
        return told.signature

    def identity(self, capsule: Address, answer: SignedAnswer) -> Identity:
        """Return who a capsule is, if it is the one that is listed, on this network.

        Raises CapsuleFault, and ConfigError if another account has taken the place of the one that is listed.
        """
        self._check_successor(capsule, answer)
        told = _parsed(Identity, capsule, self.signed(capsule, answer))
        if told.key.account != capsule:
            raise _fault(capsule, f"says that it is {told.key.account}")
        if (told.chain_id, told.contract) != (self.chain_id, self.contract):
            where = f"chain {told.chain_id}, contract {told.contract}"
            here = f"chain {self.chain_id}, contract {self.contract}"
            hint = "take a capsule of your own network, or correct network.toml"
            raise _fault(capsule, f"serves another network: {where}; yours is {here}", hint)
        self.check_key(told.key)
        return told

    def _check_successor(self, capsule: Address, answer: SignedAnswer) -> None:
        """Raises ConfigError if what answers has taken this capsule's place, as both accounts signed."""
        try:
            told = identity_in(answer, self.chain_id, self.contract)
        except (CapsuleFault, RemoteError):
            return  # what is wrong with it is told by whoever asked
        if capsule in former(told):
            raise ConfigError(
                "capsules",
                f"network.toml lists the capsule {capsule}, and at its address answers {told.key.account}, "
                "which has taken its place: both accounts signed that",
                hint="`sonar capsules --follow` takes the new account over into network.toml, once you have "
                "asked whoever runs the capsule",
            )

    def check_key(self, key: CapsuleKey) -> None:
        """Check that a capsule's account signed its key for envelopes. Raises CapsuleFault."""
        if key_fault(key, self.chain_id, self.contract):
            raise _fault(key.account, "did not sign the key that it gives for envelopes")


def _parsed(kind: type[A], capsule: Address, body: bytes) -> A:
    try:
        return kind.from_bytes(body)
    except RemoteError as error:
        hint = error.hint or WHO
        raise _fault(capsule, f"sends what cannot be read here: {error}", hint) from error


def _complained(capsule: Address, complaint: Complaint, body: bytes) -> CapsuleComplains:
    """Return a complaint as an error. Raises CapsuleFault for one that is not of this question."""
    _check_to(capsule, complaint, body)
    request, mines = FunctionalRequest.from_bytes(body), set(complaint.mines)
    asked = {ask.mine for ask in request.asks}
    if (complaint.bounty, complaint.round) != (request.bounty, request.round) or mines - asked:
        raise _fault(capsule, "complains of what it was not asked about")
    told = f"the capsule {capsule} cannot make the masks of {', '.join(sorted(mines))}"
    return CapsuleComplains(told, mines, hint="the round goes on without them")


def _check_to(
    capsule: Address, told: SumAnswer | FunctionalAnswer | SettlementAnswer | Complaint, body: bytes
) -> None:
    if told.capsule != capsule:
        raise _fault(capsule, f"sends the answer of {told.capsule}")
    if told.request != digest_of(body):
        raise _fault(capsule, "answers another question than it was asked")


def _fault(capsule: Address, problem: str, hint: str = "") -> CapsuleFault:
    return CapsuleFault(f"the capsule {capsule} {problem}", hint=hint or WHO)
