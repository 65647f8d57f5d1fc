"""MODEL_CARD.md: the model, its data, its figures and its permitted use, all from the commit."""

import json
from typing import Any

from tasks.audit import evidence, links
from tasks.audit.links import Case
from tasks.core import paths
from tasks.features import mesh_model
from tasks.provenance import dvc_lock
from tasks.storage import index

SHOWN = {
    "aperture_corr": "mouth opening against truth, correlation",
    "aperture_lag_frames": "best lag, frames of 40 ms",
    "amplitude_ratio": "amplitude against real",
    "mouth_l1": "mouth L1",
    "ssim": "SSIM",
}
PREDICTOR = "models/landmarks.dat"  # of commits before the face mesh
LIPS, MOTION = "released/lips.safetensors", "released/motion.safetensors"
GENERATED = ("right_audio", "wrong_audio", "moved_audio", "silence")
ROWS = (*GENERATED, *(f"mesh_{row}" for row in GENERATED), "frozen_mouth", "real_video")
RECORDINGS = (
    "recordings of people, whose faces and voices are personal data; a video can be withdrawn "
    "(`python -m flows withdraw`), but weights trained before cannot unlearn and are retired"
)


def card(case: Case) -> str:
    """Markdown."""
    about = case.checkpoint or {"lineage": {"corpora": [], "licences": []}, "loop": {"step": 0}, "params": {}}
    corpora, licences = about["lineage"]["corpora"], about["lineage"]["licences"]
    durations_s = index.kept(case.index, "train").column("duration_s") if case.index else []
    hours = sum(durations_s) / 3600
    people = "synthetic heads and voices: no person's face or voice" if corpora == ["synthetic"] else RECORDINGS
    return f"""# Model card: lip-sync generator

Checkpoint md5 `{dvc_lock.out(case.lock, paths.GENERATOR)}`, step {about["loop"]["step"]}, after LipGAN: a face and
350 ms of sound in, the lip-synced face out. Trained by commit `{case.commit}`; `python -m flows audit` verifies every
hash in this card, `python -m flows audit --export DIR` writes the card again.

## Data
- corpora {", ".join(corpora)}, under: {"; ".join(licences)}
- {len(durations_s)} training clips, {hours:.2f} hours, index md5 `{dvc_lock.out(case.lock, paths.INDEX)}`
- {people}
- {mouths(case)}
- {links.licences(case).claim}

## Evaluation
{metrics(case)}

## Permitted use
{use(corpora, licences)}
- It changes what a person appears to say. Use it with the consent of the people shown and heard, and disclose that the
  result is generated: every video has a signed C2PA manifest and a plain tag, and `--label` adds a visible label.
- Not for deception, not for identifying or assessing people, not where wrong lips mislead (lip reading).

## Limits
- 96 x 96 pixels of face: soft in close-ups. Frontal, upright faces; turned or hidden faces stay unchanged or fail.
- Figures on the synthetic corpus do not carry over to real faces. Skin tones, ages and languages outside the training
  data are not measured.
- Re-encoding can remove the manifest and the tag; there is no invisible watermark.
"""


def mouths(case: Case) -> str:
    """What located the lips in the data and measured its A/V offsets, by what its preprocessing read."""
    deps = case.lock["preprocess"].deps
    if PREDICTOR in deps:
        return f"mouths read by a predictor trained on rendered heads, md5 `{deps[PREDICTOR]}`"
    offsets = f"; A/V offsets by the motion network {MOTION}, md5 `{deps[MOTION]}`" if MOTION in deps else ""
    return (
        f"mouths read by {mesh_model.ATTRIBUTION} ({mesh_model.LICENCE}), sha256 `{mesh_model.SHA256}`, and the lip "
        f"refiner {LIPS}, md5 `{deps[LIPS]}`{offsets}"
    )


def use(corpora: list[str], licences: list[str]) -> str:
    if "lrs2" in corpora:
        return (
            "- Trained on LRS2 under an agreement with the BBC: non-commercial research by the organisation that "
            "signed,\n  no product, no redistribution of data; ask the BBC before sharing the weights."
        )
    if corpora == ["synthetic"]:
        return "- Trained on the embedded synthetic corpus: for tests and teaching; too small for real faces."
    if licences and all(licence.startswith("CC BY") for licence in licences):
        return f"- Trained on open data: the weights may be shared with this attribution: {'; '.join(licences)}."
    return "- Trained on a folder of videos: as their licence and the people in them allow."


def metrics(case: Case) -> str:
    """The panel as a table with 95 % intervals, or a line if there is none."""
    digest = dvc_lock.out(case.lock, paths.METRICS)
    place = evidence.table_or_copy(paths.METRICS, digest) if digest else None
    if place is None:
        return "This commit has no evaluation."
    panel = json.loads(place.read_text())
    rows = [row for row in ROWS if row in panel]
    names = [name for name in SHOWN if all(name in panel[row] for row in rows)]
    head = "| | " + " | ".join(SHOWN[name] for name in names) + " |\n|" + " --- |" * (len(names) + 1)
    body = "\n".join(f"| {row} | " + " | ".join(cell(panel[row], name) for name in names) + " |" for row in rows)
    num_clips = panel["about"].get("clips", "?")
    people = panel["about"].get("people", "unseen speakers")
    mesh = " `mesh_` rows are of the mesh generator, the others of LipGAN." if "mesh_right_audio" in rows else ""
    return f"On {num_clips} clips of {people}; 95 % intervals in brackets.{mesh}\n\n{head}\n{body}"


def cell(figures: dict[str, Any], name: str) -> str:
    interval = figures.get(f"{name}_ci")
    return f"{figures[name]:.3g}" + (f" ({interval[0]:.3g} to {interval[1]:.3g})" if interval else "")
