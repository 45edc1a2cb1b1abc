"""What a capsule's home is called, and where in it things are."""

ROLE = "capsule"
LEDGER_FILE = "ledger.sqlite"
