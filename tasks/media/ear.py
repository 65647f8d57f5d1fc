"""The speech of a sound with several channels, as one: what the network hears. The sound that goes out keeps its
channels.

An average of all channels loses speech that is in one of six (-16 dB), or the opposite in two (silence). Therefore each
channel is scored by how much its level moves: speech moves, a tone or a hiss does not. Channels far below the best are
left out, opposite ones are turned, the rest is averaged. A centre channel that speaks is taken alone: in films it has
the dialogue. Two channels that both speak are averaged as they are.
"""

from collections.abc import Sequence

import numpy as np

PIECE_S = 0.04
STEADY = 0.02  # share of the level that counts beside its movement: for sounds that do not move at all
LIVE = 0.25  # of the best channel's score: one below it is left out
OPPOSITE = -0.5  # correlation with the best channel
CENTRE, BASS = "FC", ("LFE", "LFE2")


class Ear:
    """Listens to blocks, and then says with which weights they become one channel.

    speakers: name of each channel's place, as FFmpeg writes it; anything where it is not known
    """

    def __init__(self, speakers: Sequence[str]) -> None:
        self.speakers = list(speakers)
        num = len(self.speakers)
        self._products_CC = np.zeros((num, num))
        self._level_C, self._power_C, self._num_pieces = np.zeros(num), np.zeros(num), 0

    def listen(self, block_CN: np.ndarray, rate_hz: int) -> None:
        block_CN = block_CN.astype(np.float64)
        self._products_CC += block_CN @ block_CN.T
        size = max(1, round(PIECE_S * rate_hz))
        for start in range(0, block_CN.shape[1], size):
            power_C = np.square(block_CN[:, start : start + size]).mean(axis=1)
            self._level_C += np.sqrt(power_C)
            self._power_C += power_C
            self._num_pieces += 1

    def weights(self) -> np.ndarray | None:
        """Shape: -> (channels,) float32; None: the average of all"""
        num = len(self.speakers)
        if num == 1 or not self._power_C.any():
            return None
        level_C, power_C = self._level_C / self._num_pieces, self._power_C / self._num_pieces
        score_C = np.sqrt(np.maximum(power_C - level_C**2, 0)) + STEADY * np.sqrt(power_C)
        if num > 2:
            score_C[[place in BASS for place in self.speakers]] = 0
        live_C = score_C >= max(LIVE * score_C.max(), 1e-12)
        if num > 2 and CENTRE in self.speakers and live_C[self.speakers.index(CENTRE)]:
            live_C = np.array([place == CENTRE for place in self.speakers])
        best = int(np.argmax(np.where(live_C, score_C, -1)))
        norm_C = np.sqrt(np.maximum(np.diag(self._products_CC), 1e-30))
        correlation_C = self._products_CC[best] / (norm_C * norm_C[best])
        sign_C = np.where(correlation_C < OPPOSITE, -1, 1)
        if live_C.all() and (sign_C == 1).all():
            return None
        return (sign_C * live_C / live_C.sum()).astype(np.float32)

    def mono(self, block_CN: np.ndarray) -> np.ndarray:
        """The block as one channel, with the weights of everything heard so far.  Shape: (channels, n) -> (n,)"""
        return mixed(block_CN, self.weights())


def mixed(block_CN: np.ndarray, weights_C: np.ndarray | None) -> np.ndarray:
    """Shape: (channels, n), (channels,) -> (n,) float32"""
    if len(block_CN) == 1:
        return block_CN[0]
    if weights_C is None or len(weights_C) != len(block_CN):  # a file may change its layout on the way
        return block_CN.mean(axis=0, dtype=np.float32)
    return weights_C @ block_CN
