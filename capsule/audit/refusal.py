"""Why a settlement is not signed: in one word, and with what was expected and what was found."""

from __future__ import annotations

from typing import NoReturn

from sonar.errors import RemoteError
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.manifests.model import ModelManifest


class Refusal(RemoteError):
    """A settlement that does not follow. `code` is for programs: one of `CODES`."""

    def __init__(self, code: str, problem: str, *, hint: str = "") -> None:
        assert code in CODES, code
        super().__init__(problem, hint=hint or CODES[code])
        self.code = code


CODES = {
    "network": "send it to a capsule of this network, about one of its bounties",
    "round": "settle the round that is open, once its reveals are over",
    "not-audited": "this bounty's manifest asks for no audit, or for other capsules",
    "reveals": "ask again once the chain's node tells what each mine has revealed",
    "key": "the bounty's key is not sound: nobody can be sure what it opens",
    "model": "settle with the model that follows from the round's",
    "openings-missing": "send the openings of these rounds too",
    "opening": "open the ciphertexts that lie in the store, with the bounty's own key",
    "weights": "weights lie within the bounds that the manifest declares",
    "holdout": "send the rows and the salt that the first manifest commits to",
    "optimiser": "send the settings whose digest the first manifest holds",
    "answer": "send what the bounty's capsules have signed, as they sent it",
    "capsules-differ": "one of the two is wrong: tell the operators of both",
    "told-missing": "ask the capsules for it, and send their answers",
    "cohort": "sum the set that is fixed on the chain, with these weights",
    "sum": "the answers of the set add up to something else than is said",
    "step": "take the step of the optimiser that the manifest names",
    "loss": "tell the loss of the new weights on the committed holdout",
    "reason": "leave a mine out for what anybody can check, and for nothing else",
    "shares": "pay each mine by its score",
    "evidence": "publish what follows from the round",
    "second": "a round is settled in one way: send what was signed",
}
"""Every reason by name, and what to do about it."""


def refuse(code: str, problem: str) -> NoReturn:
    """Raise a refusal."""
    raise Refusal(code, problem)


def expect(code: str, what: str, found: object, wanted: object) -> None:
    """Refuse unless `found` is what is wanted; the refusal shows both."""
    if found != wanted:
        refuse(code, f"{what} is {_shown(found)}; {_shown(wanted)} follows from the round")


def spec_of(model: ModelManifest) -> QuadraticSpec:
    """Return what a bounty trains; refuse one of a family whose steps nobody recomputes."""
    if not isinstance(model.family, QuadraticSpec):
        refuse(
            "not-audited", f"bounties of the family {model.family.kind!r} pay fees only: they are not audited"
        )
    return model.family


def _shown(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)[:200]
