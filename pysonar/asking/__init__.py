"""From a question to its result: a function for each statistic, on a network or on tables here."""
