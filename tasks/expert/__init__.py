"""Stage 4: the sync expert."""
