"""A whole split, decoded once, in the memory of this machine or of a GPU; batches are gathered from it.

LIPGAN_DATA   disk (default): see tasks.loading.batches | ram: in this machine's memory | device: where training runs |
              stream: see tasks.loading.streaming

LRS2's main part at 96 x 96 is 72 GB, so it fits into an H200 beside a batch of 1,024.
"""

import os
from collections.abc import Callable, Sequence

import numpy as np
import torch

from model import disturbances, faces, timing
from model.augment import Change
from model.mfcc import MEL_BANDS
from model.samples import NUM_MFCC, Batch
from model.sampling import Draws
from tasks.core import distributed as ranks
from tasks.core import memory
from tasks.core.errors import UserError
from tasks.core.progress import progress
from tasks.loading.batches import MakeBatch
from tasks.loading.clips import Clips

PLACES = ("disk", "ram", "device", "stream")
USABLE = 0.9  # share of the free memory; the networks need some too


def place() -> str:
    value = os.environ.get("LIPGAN_DATA", "disk")
    if value not in PLACES:
        raise UserError(f"LIPGAN_DATA must be one of {', '.join(PLACES)}, got {value!r}")
    return value


def on_device() -> bool:
    return place() == "device"


def maker(clips: Clips, device: torch.device) -> MakeBatch | None:
    """How batches are made; None: from shards.  Errors: UserError if the data does not fit."""
    if place() in ("disk", "stream"):
        return None
    return Resident(clips, device if on_device() else torch.device("cpu")).batch


class Resident:
    """All frames of a split, concatenated. The same draws give the same bytes as `batches.batch_of`."""

    def __init__(self, clips: Clips, device: torch.device) -> None:
        lengths_C = np.array([row["num_frames"] for row in clips.rows])
        total, size = int(lengths_C.sum()), clips[0].faces_TSS3.shape[1]
        _demand_room(num_bytes(total, size), device)
        self.device, self.size = device, size
        self.first_C = np.concatenate([[0], np.cumsum(lengths_C)[:-1]])  # first frame of each clip
        self.num_columns_C = lengths_C * timing.COLUMNS_PER_FRAME
        self.starts_T = np.array([timing.first_column(t) for t in range(int(lengths_C.max()))])
        self.faces_NSS3 = torch.empty(total, size, size, 3, dtype=torch.uint8, device=device)
        self.mouth_N4 = torch.empty(total, 4, dtype=torch.int16, device=device)
        num_columns = total * timing.COLUMNS_PER_FRAME
        self.mfcc_CF = torch.empty(num_columns, NUM_MFCC, device=device)
        self.mel_CM = torch.empty(num_columns, MEL_BANDS, dtype=torch.int16, device=device)
        for number in progress(range(len(clips)), "loading the data set", "clip"):
            clip = clips[number]
            frames = slice(self.first_C[number], self.first_C[number] + lengths_C[number])
            columns = slice(frames.start * timing.COLUMNS_PER_FRAME, frames.stop * timing.COLUMNS_PER_FRAME)
            self.faces_NSS3[frames] = torch.from_numpy(clip.faces_TSS3).to(device)
            self.mouth_N4[frames] = torch.from_numpy(faces.mouth_boxes(clip.landmarks_T682, size)).to(device)
            self.mfcc_CF[columns] = torch.from_numpy(np.ascontiguousarray(clip.mfcc_FW.T)).to(device)
            self.mel_CM[columns] = torch.from_numpy(clip.mel_CM).to(device)
        clips.forget()

    def batch(self, rows: Draws, change_of: Callable[[int], Change] | None = None) -> Batch:
        """The samples of some rows of an epoch, on the device where the frames are.

        change_of: the augmentation of each clip, by its number; sound of another clip gets that of the face's clip
        """
        target_B, identity_B = (self._at(self.first_C[rows.clip_N] + of) for of in (rows.target_N, rows.identity_N))
        changes = [change_of(int(clip)) for clip in rows.clip_N] if change_of else []
        sounds = [
            self._windows(rows.clip_N, rows.target_N, changes, rows.silent_N),
            self._windows(rows.negative_clip_N, rows.negative_frame_N, changes, np.zeros(len(rows), bool)),
        ]
        pictures, mouth_B4 = [self.faces_NSS3[at_B] for at_B in (identity_B, target_B)], self.mouth_N4[target_B]
        if changes:
            moved_B2 = self._at(np.array([(change.right_px, change.down_px) for change in changes]))
            table_B3V = self._at(np.stack([change.table_3V for change in changes]))
            cepstra_BF1 = self._at(np.stack([change.cepstra_F for change in changes])[:, :, None])
            pictures = [_recoloured(_moved(part, moved_B2), table_B3V) for part in pictures]
            sounds = [sound_BFW + cepstra_BF1 for sound_BFW in sounds]
            mouth_B4 = _moved_boxes(mouth_B4, moved_B2, self.size)
        flip_B = self._at(rows.flip_N)
        pictures = [torch.where(flip_B[:, None, None, None], part.flip(2), part) for part in pictures]
        mirrored_B4 = mouth_B4.clone()
        mirrored_B4[:, 0], mirrored_B4[:, 2] = (self.size - mouth_B4[:, side] for side in (2, 0))
        identity, target = pictures
        right, wrong = sounds
        return Batch(identity, target, right, wrong, torch.where(flip_B[:, None], mirrored_B4, mouth_B4))

    def _windows(
        self, clip_B: np.ndarray, frame_B: np.ndarray, changes: Sequence[Change], silent_B: np.ndarray
    ) -> torch.Tensor:
        """The sound windows of frames of clips, with any disturbances added.  Shape: -> (B, 12, 35)"""
        columns_BW = self.starts_T[frame_B][:, None] + np.arange(timing.WINDOW)
        inside_BW = np.clip(columns_BW, 0, self.num_columns_C[clip_B][:, None] - 1)
        at_BW = self.first_C[clip_B][:, None] * timing.COLUMNS_PER_FRAME + inside_BW
        windows_BFW = self.mfcc_CF[self._at(at_BW)].transpose(1, 2).contiguous()
        if changes and len(at := disturbances.affected(changes, silent_B)):
            windows_BFW[self._at(at)] = disturbances.disturbed_cepstra(
                self.mel_CM[self._at(at_BW[at])], inside_BW[at], [changes[k] for k in at], silent_B[at]
            )
        return windows_BFW

    def _at(self, numbers: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(numbers)).to(self.device, non_blocking=True)


def _moved(pictures_BSS3: torch.Tensor, by_B2: torch.Tensor) -> torch.Tensor:
    """The shift of model.augment.faces, right and down; edge pixels are repeated."""
    num, size = pictures_BSS3.shape[:2]
    at_S, of_B = torch.arange(size, device=by_B2.device), torch.arange(num, device=by_B2.device)
    column_BS, row_BS = ((at_S - by_B2[:, k, None]).clamp(0, size - 1) for k in (0, 1))
    return pictures_BSS3[of_B[:, None, None], row_BS[:, :, None], column_BS[:, None, :]]


def _recoloured(pictures_BSS3: torch.Tensor, table_B3V: torch.Tensor) -> torch.Tensor:
    """The colour table of model.augment.faces applied to each channel."""
    num, size = pictures_BSS3.shape[:2]
    values_B3P = pictures_BSS3.permute(0, 3, 1, 2).reshape(num, 3, -1).long()
    mapped_B3P = torch.gather(table_B3V, 2, values_B3P)
    return mapped_B3P.view(num, 3, size, size).permute(0, 2, 3, 1).contiguous()


def _moved_boxes(box_B4: torch.Tensor, by_B2: torch.Tensor, size: int) -> torch.Tensor:
    """model.augment.box for a batch."""
    moved_B4 = (box_B4 + by_B2.repeat(1, 2)).clamp(0, size)
    low_B2 = moved_B4[:, :2].clamp_max(size - 1)
    return torch.cat([low_B2, torch.maximum(moved_B4[:, 2:], low_B2 + 1)], dim=1).to(box_B4.dtype)


def num_bytes(num_frames: int, size: int) -> int:
    """Memory of a split: pictures, mouth boxes, sound features and mel power."""
    return num_frames * (size * size * 3 + 4 * 2 + timing.COLUMNS_PER_FRAME * (NUM_MFCC * 4 + MEL_BANDS * 2))


def _demand_room(needed: int, device: torch.device) -> None:
    """Errors: UserError if a split does not fit, before anything is read. The ranks of a machine share its memory."""
    free = memory.free_bytes(device) // (1 if device.type == "cuda" else ranks.num_here())
    if needed > USABLE * free:
        raise UserError(
            f"LIPGAN_DATA={place()}: the split takes {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free on "
            f"{device.type}: set LIPGAN_DATA=disk"
        )
