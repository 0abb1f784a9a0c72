"""``make demo``: the whole loop on an embedded three-account cloud, checked step by step, with a page at the end."""
