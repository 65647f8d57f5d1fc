"""The output of a dub, from its first segment to the joined file. Segments that are there already are kept."""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core import memory
from tasks.core.ahead import ahead
from tasks.core.files import write_atomic
from tasks.core.progress import bar, say
from tasks.dubbing import hear, overlay, render, sidecar
from tasks.dubbing.blend import as_array
from tasks.dubbing.hear import Under
from tasks.dubbing.options import Options
from tasks.dubbing.render import Renderer
from tasks.dubbing.script import Script
from tasks.features.face_track import Frame
from tasks.media import containers, decode, native_rate, segments
from tasks.media.frame import Geometry
from tasks.media.segments import TICKS_HZ, Coding
from tasks.media.tracks import Tracks


@dataclass
class Output:
    """folder: the work folder, where the segments lie, each with a JSON of what was measured on it.
    under: what lies under the lines
    """

    renderer: Renderer
    options: Options
    folder: Path
    under: Under | None = None
    tracks: dict[str, list[str]] | None = None  # of the source: which were kept, and which left out; set by `join`

    @property
    def script(self) -> Script:
        return self.renderer.script

    @cached_property
    def ticks(self) -> np.ndarray:
        """When each frame is shown, in 1 / TICKS_HZ s.  Shape: (N,) int64"""
        return np.round(self.script.plan.times_s * TICKS_HZ).astype(np.int64)

    @property
    def coding(self) -> Coding:
        return Coding(crf=self.options.crf, lossless=self.options.lossless, aspect=self.geometry.upright_aspect)

    @cached_property
    def geometry(self) -> Geometry:
        """How the source is shown; the output is upright, in pixels of the same shape."""
        return decode.geometry(self.script.face)

    def segments(self) -> list[Path]:
        return [self.folder / f"{start:09d}.mp4" for start in range(0, len(self.ticks), render.SEGMENT_FRAMES)]

    def render(self) -> None:
        """Make the segments that are missing; they are made in order, so those that are there are the first ones.

        Errors: UserError where the video cannot be decoded to its end
        """
        paths = self.segments()
        done = next((k for k, path in enumerate(paths) if not path.with_suffix(".json").is_file()), len(paths))
        if done == len(paths):
            return
        first = done * render.SEGMENT_FRAMES
        with (
            containers.readable(self.script.face),
            bar(len(self.ticks), "dubbing", "frame", initial=first) as progress,
            contextlib.closing(ahead(self.labelled(self.renderer.frames(first)), 8)) as frames,
        ):
            for k in range(done, len(paths)):
                ticks = self.ticks[k * render.SEGMENT_FRAMES : (k + 1) * render.SEGMENT_FRAMES]
                some = counted(frames, len(ticks), progress)
                segments.write_segment(paths[k], some, ticks - ticks[0], self.coding)
                self.measure(paths[k], k * render.SEGMENT_FRAMES, len(ticks))
                memory.give_back()

    def measure(self, segment: Path, first: int, num: int) -> None:
        """Seams and the expert's confidence of a segment, into the JSON beside it."""
        made = [part.taken(first, first + num) for part in self.renderer.parts]
        seams = [seam for of_part in made for _, seam in of_part.values()]
        judged = [
            span
            for part, of_part in zip(self.renderer.parts, made, strict=True) if part.judge
            for span in part.judge.spans({n: face for n, (face, _) in of_part.items()})
        ]  # fmt: skip
        measured = {
            "seam_levels": round(float(np.median(seams)), 2) if seams else None,
            "confidence": sorted(judged, key=lambda span: span["from_s"]),
        }
        write_atomic(segment.with_suffix(".json"), json.dumps(measured))

    def labelled(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame_HW3 in frames:
            yield frame_HW3 if self.options.label is None else overlay.labelled(as_array(frame_HW3), self.options.label)

    def join(self, out: Path, tags: Mapping[str, str]) -> None:
        """Errors: UserError where the source's other tracks cannot be read"""
        tracks = Tracks(self.script.face) if self.options.tracks else None
        with containers.readable(self.script.face):
            self.join_segments(out, self.segments(), tags, tracks)
        if tracks:
            self.tracks = {"kept": tracks.kept, "left_out": tracks.left_out}
        if tracks and tracks.left_out:
            say(f"dub: {self.script.face}: {out.suffix[1:]} does not take {', '.join(tracks.left_out)}: left out")

    def join_segments(
        self, out: Path, paths: list[Path], tags: Mapping[str, str], tracks: Tracks | None = None
    ) -> None:
        script = self.script
        spoken = (line for part in self.renderer.parts for line in part.script.lines)
        lines = sorted(spoken, key=lambda one: one.start_s)
        sound, like = hear.soundtrack(lines, script.original, script.duration_s, self.under)
        end_tick = round(script.duration_s * TICKS_HZ)
        segments.join(
            out, paths, self.ticks, end_tick, sound, like.rate_hz, like.layout, tags,
            self.options.lossless, tracks,
        )  # fmt: skip

    def describe(self) -> dict[str, Any]:
        """The sidecar's entries about the frames."""
        measured = [json.loads(path.with_suffix(".json").read_text()) for path in self.segments()]
        tracks = {"tracks": self.tracks} if self.tracks else {}
        source = {"source": sidecar.source(self.geometry)}
        return sidecar.describe([part.script for part in self.renderer.parts], measured) | source | tracks

    def side_by_side(self, dubbed: Path, out: Path, tags: Mapping[str, str]) -> None:
        """A second video: the source left, the dubbed one right."""
        segment = self.folder / "side.mp4"
        both = (
            overlay.beside(as_array(source), picture.rgb())
            for source, (picture, _) in zip(self.renderer.shown(0), native_rate.pictures(dubbed), strict=False)
        )
        segments.write_segment(segment, both, self.ticks, replace(self.coding, aspect=Fraction(1)))
        self.join_segments(out, [segment], tags)


def counted(frames: Iterator[Frame], num: int, progress: Any) -> Iterator[Frame]:
    """The next `num` frames, each counted by a progress bar."""
    for _ in range(num):
        yield next(frames)
        progress.update()
