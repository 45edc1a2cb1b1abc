"""What a capsule tells, and whether: chain and store checked, masks derived, budgets kept."""
