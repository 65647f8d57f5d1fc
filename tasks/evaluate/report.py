"""The evaluation report: one self-contained HTML page, and strips of frames as PNGs.

The page needs neither the code nor a network: pictures and videos are embedded.
"""

import html
from collections.abc import Mapping, Sequence

import numpy as np

from model.metrics import registry
from model.params import EvaluateParams
from tasks.core import paths
from tasks.core.files import all_or_nothing, write_atomic
from tasks.core.html import data_uri, document, encoded, figure
from tasks.evaluate import conditions, last_commit, report_media, report_plots, report_tables, summary
from tasks.evaluate.measure import Record
from tasks.evaluate.mesh_generator import MeshGenerator
from tasks.evaluate.summary import Panel
from tasks.inference.lip_sync import LipSync
from tasks.storage import index

STYLE = """
.verdict { border-left: 5px solid var(--accent); background: #f3f7fc; padding: .9rem 1.1rem; margin: 1rem 0 }
.verdict p { margin: .3rem 0; max-width: none }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px } table { width: 100% }
th, td { text-align: right } td.text, th.text { text-align: left } th { background: #fafbfc; min-width: 5.2rem }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff; min-width: 8.5rem;
  box-shadow: 1px 0 var(--line) } th:first-child { background: #fafbfc }
th small { display: block; font-weight: 400; line-height: 1.25 }
td small { display: block; line-height: 1.25; white-space: nowrap }
td:first-child small { white-space: normal; max-width: 15rem } tr.ours td { background: #f3f7fc }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem }
@media (max-width: 40rem) { td:first-child small { display: none }
  th:first-child, td:first-child { min-width: 6.5rem } }
"""


def write(
    panel: Panel, records: Sequence[Record], sync: LipSync, mesh: MeshGenerator, p: EvaluateParams
) -> dict[str, np.ndarray]:
    """reports/strips/ and reports/report.html; returns the strips by name."""
    clips, raw = mesh.clips, mesh.raw
    strips: dict[str, np.ndarray] = {}
    sections = []
    for title, key in chosen(records, p.strips):
        frames = conditions.fill(sync, clips, clips.keys.index(key), tuple(report_media.SHOWN), mesh)
        strips[key.replace("/", "-")] = report_media.strip(frames)
        of_clip = [r for r in records if r["clip"] == key]
        sections.append(clip_section(title, key, of_clip, frames, raw.sound(key)))
    with all_or_nothing(paths.STRIPS) as folder:
        folder.mkdir()
        for name, picture_HW3 in strips.items():
            (folder / f"{name}.png").write_bytes(encoded(picture_HW3, ".png"))
    write_atomic(paths.REPORT, page(panel, records, sections, last_commit.sentence(records, sync.about), p))
    return strips


def chosen(records: Sequence[Record], num: int) -> list[tuple[str, str]]:
    """(title, clip) of `num` test clips from the best to the worst, by how well the mouth follows the sound."""
    ours = [r for r in records if r["split"] == "test" and r["row"] == "right_audio"]
    ours.sort(key=lambda r: (-r["aperture_corr"], r["clip"]))
    at = np.unique(np.linspace(0, len(ours) - 1, num).round().astype(int)) if num > 1 else [len(ours) // 2][:num]
    names = {0: "The best clip", len(ours) - 1: "The worst clip", len(ours) // 2: "The median clip"}
    return [(names.get(int(k), f"Clip {k + 1} of {len(ours)}"), ours[k]["clip"]) for k in at]


def clip_section(
    title: str, key: str, records: Sequence[Record], frames: Mapping[str, np.ndarray], sound: np.ndarray
) -> str:
    by_row = {record["row"]: record for record in records}
    played = {row: report_media.SHOWN[row] for row in report_media.PLAYED}
    video = data_uri("video/mp4", report_media.video(frames, sound, played))
    strip = encoded(report_media.strip(frames), ".png")
    corr, amplitude = (
        " and ".join(f"{by_row[row][name]:.2f}" for row in report_tables.OURS)
        for name in ("aperture_corr", "amplitude_ratio")
    )
    return f"""<h3>{title}: correlation {corr}, amplitude {amplitude} of real (LipGAN and mesh)</h3>
<p class="soft"><a href="#row-{html.escape(key)}"><code>{html.escape(key)}</code></a>,
{by_row["right_audio"]["frames"]} frames. Play it with sound.</p>
<figure><video controls loop playsinline preload="auto" aria-label="{", ".join(played.values())}"
src="{video}"></video></figure>
{figure("image/png", strip, "frames spread over the clip, one condition per row")}
{figure("image/png", report_plots.openings(records), "mouth opening over time")}"""


def page(
    panel: Panel, records: Sequence[Record], sections: Sequence[str], against_commit: str, p: EvaluateParams
) -> str:
    right, about, discriminator = panel["right_audio"], panel["about"], panel["discriminator"]
    leaks = {"LipGAN": panel["leakage"], "mesh": panel["mesh_leakage"]}
    max_lag = p.max_lag
    plots = {
        "Correlation with the true mouth at each lag. The peak belongs at 0.": report_plots.lags(
            summary.lag_rows(records, max_lag)
        ),
        "The best lag. The control that is 5 frames late shows that the measurement detects it.": report_plots.offsets(
            summary.offset_rows(records, max_lag)
        ),
        "Music or noise in the background: how well the mouth follows.": report_plots.noise(panel),
        "Turned heads, over all clips: error of the mouth's picture.": report_plots.yaw(panel),
    }
    hard = {name: panel[name] for name in panel if name.startswith("hard_")}
    chosen_keys = [key for _, key in chosen(records, p.strips)]
    curves = "".join(figure("image/png", plot, text) for text, plot in plots.items() if plot)
    body = f"""<h1>Lip-sync evaluation</h1>
<p class="soft">LipGAN <code>{about["checkpoint_md5"][:12]}</code> after {about["step"]} steps and the mesh generator's
networks of motion <code>{about["motion_md5"][:12]}</code> and the mouth's inside
<code>{about["inside_md5"][:12]}</code>, trained on {html.escape(", ".join(about["corpora"]))};
data index <code>{about["index_md5"][:12]}</code>; {about["clips"]} test clips ({right["num_frames"]} frames) of
{html.escape(about["people"])}. Data: {html.escape("; ".join(about["licences"]))}.</p>
<div class="verdict">{generator_verdict("Mesh generator", "mesh_", panel)}{generator_verdict("LipGAN", "", panel)}
<p>LipGAN: {html.escape(against_commit)}</p></div>
<p>The mesh generator's mouths are made by the code of <code>dub</code>, at the size of the frames, and then cut into
the same crops. They come from {about["mesh_library"]}, never from the frames that are made. It changes only the mouth's
surroundings; LipGAN's rows show its whole picture, before it is blended into the frame.</p>
<h2>Can these numbers be fooled?</h2>
<p>The rows after the first three are controls: each scores well on at least one metric and must fail a check.
{controls(panel["verdict"])} Red is outside the limits.</p>
<div class="wide">{report_tables.checks(panel)}</div>
<h2>Sample clips</h2>{"".join(sections) or "<p>None (evaluate.strips is 0).</p>"}
<h2>Curves</h2><div class="plots">{curves}</div>
<h2>All metrics</h2>
<p>Small print: the 95 % interval by bootstrap over clips. A clip that cannot be measured counts as the worst value and
is marked; for a metric that only some clips have, their number is given.</p>
{report_tables.groups(panel)}
<h2>Does anything but the sound move the mouth?</h2>
{report_tables.leakage(leaks)}
<p>The co-trained sync discriminator classifies {discriminator["accuracy"]:.0%} of {discriminator["pairs"]:.0f} random
pairs right, and prefers the right sound to a wrong one for {discriminator["accuracy_2afc"]:.0%} of faces; chance is
50 %.</p>
<h2>Which sounds are wrong?</h2>
<p>Mean distance of the mouth's opening from the true one while a sound is said, as a share of the real mouth's range;
small print: its sign, + is too far open. Times of the sounds: {about["sounds"]}.</p>
{report_tables.by_viseme(panel)}
<h2>Half of a clip from the other half</h2>
<p>Each half of a clip is made from the other half and its own sound: LipGAN's identity frame and the mesh generator's
mouths are of the other half. PSNR and SSIM of the lower half of the crop, both blended into the frame as in
<code>dub</code>.</p>
{report_tables.halves(panel)}
<h2>Hard cases</h2>
<p>LipGAN's.</p>
{report_tables.hard(hard) if hard else "<p>This corpus has none.</p>"}
<h2>The worst failures</h2>
<p>Over all splits, with the right sound; <code>{paths.INDEX}</code> has the location of each clip.</p>
<div class="wide">{report_tables.failures(records, index.rows(paths.INDEX), chosen_keys)}</div>
<h2>The metrics</h2>
<div class="wide">{report_tables.registry(panel)}</div>"""
    return document("Lip-sync evaluation", body, STYLE)


def generator_verdict(title: str, of: str, panel: Panel) -> str:
    """The verdict on one generator; `of`: what its rows' names begin with."""
    right, wrong, moved = (panel[f"{of}{row}"] for row in ("right_audio", "wrong_audio", "moved_audio"))
    return f"""<p class="first">{title}: the mouth {html.escape(panel["verdict"][f"{of}sentence"])}.</p>
<p>It follows the true mouth with correlation <b>{right["aperture_corr"]:.2f}</b> when driven by the right sound,
<b>{wrong["aperture_corr"]:.2f}</b> by another clip's, and <b>{moved["aperture_corr"]:.2f}</b> by its own at another
time; the best lag is {registry.lag_text(right["aperture_lag_frames"])}, it opens {right["amplitude_ratio"]:.2f} times
as far as the real mouth, and in silence {panel[f"{of}leakage"]["moves_in_silence"]:.2f} times.</p>"""


def controls(verdict: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """Whether the checks work on this corpus: every control must fail one, real video none."""
    failed = verdict["failed"]
    passing = [report_tables.NAMES[row] for row in conditions.CONTROLS if not failed[row]]
    result = f"Here these fail none: {', '.join(passing)}" if passing else "Here each of them fails at least one"
    if failed["real_video"]:
        return f"{result}; real video fails {', '.join(failed['real_video'])}, so the checks are not reliable here."
    return f"{result}; real video passes all."
