"""Where a bounty declares noise: its numbers, the sums that it is added to, and what is made of them."""
