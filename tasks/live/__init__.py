"""A picture or video that speaks in real time: frames are generated as the audio comes in."""
