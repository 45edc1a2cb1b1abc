"""What models of maximum likelihood share: Newton's steps from opened sums, and what is told of coefficients."""
