"""What a party keeps on its disk: keys, journal, settings."""
