"""Everything that decrypts: keys, their ledger and their files."""
