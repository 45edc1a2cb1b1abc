"""The model family: public feature maps and the quadratic that a mine's data become."""
