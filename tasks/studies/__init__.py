"""Studies that are started by hand and that no stage needs: demo, ablations, preference tests."""
