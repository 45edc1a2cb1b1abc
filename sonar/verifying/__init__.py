"""Whether a bounty was what it says, by what is public: the chain's record and the blobs in the store.

    findings     collects what holds and what does not
    posting      the bounty as it was posted: terms, id, key, first model, capsules, settler
    payments     what the contract must have paid, worked out once more
    updates      what the mines revealed
    cohorts      what the scientist fixed before she opened a sum
    settled      evidence, new model and signatures of a settlement
    rounds       one round, all of it
    reading      reads chain and store, and has all of it checked (the only module here that reads anything)

Nobody can check by this what is not public: the loss on the holdout, the sums, the scores. Of an audited
bounty those are what its capsules have signed for.
"""
