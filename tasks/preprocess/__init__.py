"""Stage 2: examines clips, applies the gates, writes shards."""
