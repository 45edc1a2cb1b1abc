"""What a capsule keeps in its home: policy, keys by epoch, and the ledger of all that it told."""
