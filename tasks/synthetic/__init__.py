"""The embedded corpus: synthetic talking heads in LRS2's layout, with the truth about every frame beside them.

    script, plan      who says what, in which split, with which difficulty
    espeak, visemes   text -> speech with phoneme times -> the movement of a mouth
    identity, grid, hair, skin, eyes, mouth, points, head     a person -> a mesh that can speak
    scene, picture    light, background, camera -> a frame
    motion, sounds    what moves besides the lips, what sounds besides the voice
    clip, layout      one clip as bytes and truth; a whole tree as LRS2 lays it out
    labelled          faces with true landmarks, to train tasks/features/landmarks.py on

Nothing measured on this corpus says anything about the quality on real people.
"""
