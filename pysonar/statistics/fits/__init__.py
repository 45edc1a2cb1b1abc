"""What models of maximum likelihood share: Newton's steps, and what is told of coefficients."""
