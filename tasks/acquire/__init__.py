"""Stage 1: raw video to raw shards."""
