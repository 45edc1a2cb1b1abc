"""Audited settlement: a capsule comes to a settlement by itself before it signs it.

public     what chain and store say of a bounty
opened     openings, held against the ciphertexts in the store
told       what capsules have told, held against their signatures
course     where the weights have been, and where the last sum leads
judging    who is left out, and why
paying     scores and shares
recompute  all of it, of one round
again      by an auditor's ledger, now or later
ledger     what it keeps
auditor    once a round, and signed
"""
