"""Shards, objects and the cache of finished units."""
