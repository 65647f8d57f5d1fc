"""Stage 3: examines clips, applies the gates, writes shards."""
