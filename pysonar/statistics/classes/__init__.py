"""Classifiers that are made of sums by class: discriminants and naive Bayes."""
