"""A scientist, capsules and auditors in memory, for tests of audits."""
