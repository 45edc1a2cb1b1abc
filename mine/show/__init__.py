"""What the operator is shown: tables, earnings, and what is wrong with a node."""
