"""What a bounty means, in its scientist's words: the sections of `explain`."""
