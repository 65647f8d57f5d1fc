"""The lineage of a checkpoint: every link down to raw bytes, verified and exported."""
