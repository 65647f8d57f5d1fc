"""A mouth of the person's own pixels: a library of mouths, the choice among them, the warp, the join."""
