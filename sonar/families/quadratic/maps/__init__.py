"""Public feature maps: from columns to phi, the matrix that a model is linear in."""
