"""Work that a person starts by hand and no stage needs: demo, ablations, preference tests."""
