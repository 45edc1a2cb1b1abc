"""Noise on exact sums: what makes a release of them."""

from __future__ import annotations

from sonar.errors import UsageError
from sonar.privacy.chance import Source
from sonar.privacy.sampler import discrete_gaussian
from sonar.privacy.terms import RowSums


def noisy(sums: RowSums, parts: int, source: Source) -> list[int]:
    """Return the sums, each with its own discrete Gaussian noise of its variance / `parts`.

    Draws are made for one variance after the other, in the order in which the variances come first, and in
    the order of the sums for each. `source` gives random bytes, such as `secrets.token_bytes`. Call it once
    for a release and keep what it returns: noise that is drawn twice is half the privacy. Raises UsageError
    for parts below 1, another number of variances than of sums, or a variance that no noise has;
    EnvironmentFault for a source that is none.
    """
    if parts < 1:
        raise UsageError(f"noise in {parts} parts; at least one mine adds it")
    if len(sums.values) != len(sums.variances):
        raise UsageError(f"{len(sums.values)} sums and {len(sums.variances)} variances; one belongs to each")
    result = list(sums.values)
    for variance in dict.fromkeys(sums.variances):
        places = [i for i, each in enumerate(sums.variances) if each == variance]
        noise = discrete_gaussian(variance / parts, len(places), source)
        for i, draw in zip(places, noise, strict=True):
            result[i] += draw
    return result
