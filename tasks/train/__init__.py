"""Stage 5: the GAN."""
