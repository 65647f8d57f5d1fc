"""Stage `inside`: the network that paints the mouth's inside; also trains the released one, on videos."""
