"""Stage `motion`: the network that predicts mouth motion from audio; also trains the released one, on videos."""
