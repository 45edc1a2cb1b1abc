"""Statistics of one column at a time: description, histograms, quantiles."""
