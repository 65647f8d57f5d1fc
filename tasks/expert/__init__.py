"""Stage 3: the sync expert."""
