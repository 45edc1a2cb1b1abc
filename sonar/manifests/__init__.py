"""Manifests: the small DAG-CBOR blocks that say what a blob is. Each has a version `v` and a `kind`.

    key        the scientist's public key
    model      what to train, how, under which key; links the key manifest and the blob of encrypted weights
    update     what a mine returns for a round; links the model and the blob of encrypted update
    cohort     whose answers are summed in a round, and with which weights
    evidence   what the scientist found when she settled a round; links the old and the new model
    allowlist  the mines that may commit to a bounty; a model links to it

How they are read from hostile bytes: `sonar.protocol.record`.
"""
