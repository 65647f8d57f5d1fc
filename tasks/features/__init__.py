"""From a frame and a sound to the network's inputs, and back into the frame."""
