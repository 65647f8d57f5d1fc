"""Makes a mouth from the person's own pixels: library of mouths, choice of a mouth, warp, blending."""
