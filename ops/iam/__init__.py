"""What the policies of a template let whom do, and whether one template lets more than another; no AWS calls."""
