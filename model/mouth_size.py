"""How far a person moves the mouth in speech, relative to the average person, from footage with the person's own voice.

Some people open their lips twice as far as others, and no voice tells how far. The motion network predicts the average
person's motion; what it predicts for the footage's own sound, beside what the footage shows, gives the person's size
whatever is said there and however long it is silent.

Shape letters: T frames
"""

import numpy as np

SPOKEN = 0.02  # predicted opening, in distances between the outer eye corners, of a frame that counts as speech
LEAST_FRAMES = 12  # of speech: fewer tell nothing
# Frames of speech that weigh as much as knowing nothing. Source: measured on 366 clips of 14 people of GRID, about 40
# frames of speech each: the logarithm of the ratio varies by 0.10 to 0.16 from clip to clip of one person, by 0.20
# from person to person. That gives 16; with 6 the error is hardly larger, and who differs much keeps more of it
PRIOR_FRAMES = 6
# Up to the first correlation the sound is taken for another voice, from the second on for the person's. In the person's
# own clips it is 0.28 to 0.93
FOREIGN_R, OWN_R = 0.1, 0.4
SMALLEST, LARGEST = 0.5, 2.0


def size(filmed_T: np.ndarray, predicted_T: np.ndarray) -> float:
    """Factor from the average person's motion to this person's; 1 where the footage does not tell it.

    filmed_T     lip opening that the footage shows; predicted_T: that of the network for the footage's own sound
    """
    num_spoken = int((predicted_T > SPOKEN).sum())
    if num_spoken < LEAST_FRAMES or min(filmed_T.std(), predicted_T.std()) < 1e-6:
        return 1.0
    r = float(np.corrcoef(filmed_T, predicted_T)[0, 1])
    trust = float(np.clip((r - FOREIGN_R) / (OWN_R - FOREIGN_R), 0, 1)) * num_spoken / (num_spoken + PRIOR_FRAMES)
    return float(np.clip((filmed_T.std() / predicted_T.std()) ** trust, SMALLEST, LARGEST))
