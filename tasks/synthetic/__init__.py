"""The embedded corpus: synthetic talking heads in LRS2's layout, with ground truth for every frame.

    script, plan      the speakers, sentences, splits and hard cases
    visemes           speech with phoneme times (tasks/media/espeak.py) -> the movement of a mouth
    identity, grid, hair, skin, eyes, mouth, points, head     a person -> a mesh that can speak
    scene, picture    light, background, camera -> a frame
    motion            movement of head, eyelids and gaze
    clip, layout      one clip as bytes and ground truth; a tree of files in LRS2's layout

Results on this corpus say nothing about the quality on real people.
"""
