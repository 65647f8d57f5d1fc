"""Every link from a checkpoint to raw bytes, checked and exported."""
