"""Races between Sonar's encrypted arithmetic and its peers. Run `python -m benchmarks --help`."""
