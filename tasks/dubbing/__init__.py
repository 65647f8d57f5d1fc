"""The parts of dubbing: what is seen (look), who speaks (speaker), what is heard (hear), when and how the mouth is
changed (plan, paste, render), and what is told of it (sidecar). tasks/dubbing/dub.py puts them together.
"""
