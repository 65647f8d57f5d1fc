"""The LipGAN generator: the lower face is generated from each frame's audio and blended in with a soft mask."""

from dataclasses import dataclass, field

import numpy as np

from model import samples
from tasks.dubbing.blend import FaceBlender
from tasks.dubbing.script import Script
from tasks.features.face_track import Frame
from tasks.inference.lip_sync import LipSync


@dataclass
class LipGanMouths:
    script: Script
    sync: LipSync
    _blenders: dict[int, FaceBlender] = field(default_factory=dict)

    def change(self, number: int, at: np.ndarray, batch: list[Frame]) -> list[tuple[Frame, np.ndarray, float]]:
        """See tasks.dubbing.networks.Mouths."""
        if number not in self._blenders:
            self._blenders[number] = FaceBlender(self.sync, self.script.seen.faces[number])
        blender, plan = self._blenders[number], self.script.plan
        targets = blender.targets(batch, plan.source_N[at] - blender.face.first)
        middles_s = (plan.times_s[at] + plan.ends_s[at]) / 2
        made_BSS3 = blender.generate(targets, samples.windows_at(self.script.mfcc_FW, middles_s))
        changed: list[tuple[Frame, np.ndarray, float]] = []
        for n, frame, target, made_SS3 in zip(at.tolist(), batch, targets, made_BSS3, strict=True):
            face_SS3 = target.recoloured(made_SS3)
            blended = blender.blend(frame, target, face_SS3, float(plan.weight_N[n]))
            changed.append((blended, made_SS3, target.seam(face_SS3)))
        return changed
