"""Stage 4: the GAN."""
