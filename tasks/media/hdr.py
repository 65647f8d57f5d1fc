"""High dynamic range (HLG as telephones record it, and PQ) to the standard range that the networks and the output have.

Source: ITU-R BT.2100-2 (transfer functions, system gamma 1.2 at 1,000 cd/m2), BT.2446-1 method A (tone mapping from
        1,000 to 100 cd/m2), BT.2407-0 (BT.2020 to BT.709: matrix, then clipping)
"""

import functools
import tempfile

import av
import numpy as np

TRANSFERS = {16: "PQ", 18: "HLG"}  # ISO/IEC 23091-2
BT709, FULL_RANGE = 1, 2  # FFmpeg's numbers of the matrix and the range
ACCURATE_FLAGS = "bicubic+accurate_rnd+full_chroma_int"
PEAK_NITS, SDR_NITS = 1000.0, 100.0  # brighter PQ is white
GAMMA = 2.4  # of the standard-range display
LUMA_3 = np.array([0.2627, 0.6780, 0.0593])  # BT.2020
CB, CR = 1.8814, 1.4746  # divisors of BT.2020's colour differences
BT709_OF_2020 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
GRID = 33  # nodes of the table along each channel
ROWS = 128  # of a still picture at a time: the arithmetic takes about 200 bytes a pixel


def sdr(hdr_N3: np.ndarray, transfer: str) -> np.ndarray:
    """BT.709 R'G'B' of BT.2020 R'G'B'; both 0 .. 1.  Shape: (N, 3) -> (N, 3)"""
    display_N3 = _hlg_light(hdr_N3) if transfer == "HLG" else _pq_light(hdr_N3)
    mapped_N3 = _tone_mapped(display_N3 ** (1 / GAMMA))
    linear_N3 = np.clip(mapped_N3, 0, 1) ** GAMMA @ BT709_OF_2020.T
    return np.clip(linear_N3, 0, 1) ** (1 / GAMMA)


def sdr_still(rgb_HW3: np.ndarray, transfer: str) -> np.ndarray:
    """Shape: (H, W, 3) uint8 -> (H, W, 3) uint8"""
    out_HW3 = np.empty_like(rgb_HW3)
    for row in range(0, len(rgb_HW3), ROWS):
        part_RW3 = rgb_HW3[row : row + ROWS]
        mapped_N3 = sdr(part_RW3.reshape(-1, 3) / 255, transfer)
        out_HW3[row : row + ROWS] = np.round(mapped_N3 * 255).reshape(part_RW3.shape)
    return out_HW3


class ToSdr:
    """Frames of one video as 8-bit BT.709; standard-range frames unchanged. FFmpeg interpolates a table of `sdr`."""

    def __init__(self) -> None:
        self._graphs: dict[tuple[str, int, int, str], av.filter.Graph] = {}

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        transfer = TRANSFERS.get(frame.color_trc)
        if transfer is None:
            return frame
        key = (transfer, frame.width, frame.height, frame.format.name)
        if key not in self._graphs:
            self._graphs[key] = _graph(frame, transfer)
        graph = self._graphs[key]
        graph.vpush(frame)
        return graph.vpull()


def _graph(frame: av.VideoFrame, transfer: str) -> "av.filter.Graph":
    matrix = "bt709" if frame.colorspace == BT709 else "bt2020"  # none is named: BT.2100 knows only BT.2020
    levels = "pc" if frame.color_range == FULL_RANGE else "tv"
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    with tempfile.NamedTemporaryFile("w", suffix=".cube") as table:
        table.write(_cube(transfer))
        table.flush()
        graph.link_nodes(
            source,
            graph.add("scale", f"in_color_matrix={matrix}:in_range={levels}:flags={ACCURATE_FLAGS}"),
            graph.add("format", "gbrp10le"),
            graph.add("lut3d", file=table.name, interp="tetrahedral"),
            graph.add("scale", f"out_color_matrix=bt709:out_range=tv:flags={ACCURATE_FLAGS}"),
            graph.add("format", "yuv420p"),
            graph.add("setparams", "color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"),
            graph.add("buffersink"),
        ).configure()
    return graph


@functools.cache
def _cube(transfer: str) -> str:
    """The table of `sdr` as a .cube file: red fastest."""
    steps = np.linspace(0, 1, GRID)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    mapped_N3 = sdr(np.stack([red, green, blue], axis=-1).reshape(-1, 3), transfer)
    lines = "\n".join(" ".join(f"{value:.6f}" for value in row_3) for row_3 in mapped_N3)
    return f"LUT_3D_SIZE {GRID}\n{lines}\n"


def _hlg_light(signal_N3: np.ndarray) -> np.ndarray:
    """Light of a display, 1 is PEAK_NITS: inverse OETF, then OOTF of BT.2100."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    scene_N3 = np.where(signal_N3 <= 0.5, signal_N3**2 / 3, (np.exp((signal_N3 - c) / a) + b) / 12)
    luminance_N1 = (scene_N3 @ LUMA_3)[:, None]
    return scene_N3 * np.maximum(luminance_N1, 1e-9) ** 0.2


def _pq_light(signal_N3: np.ndarray) -> np.ndarray:
    """Light of a display, 1 is PEAK_NITS: EOTF of BT.2100."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root_N3 = np.maximum(signal_N3, 0) ** (1 / m2)
    nits_N3 = 10_000 * (np.maximum(root_N3 - c1, 0) / (c2 - c3 * root_N3)) ** (1 / m1)
    return np.minimum(nits_N3 / PEAK_NITS, 1)


def _tone_mapped(hdr_N3: np.ndarray) -> np.ndarray:
    """R'G'B' in BT.2020 of the standard range, of that of the high range; both with gamma 2.4.

    Source: BT.2446-1, 4.2 to 4.4
    """
    luma_N = hdr_N3 @ LUMA_3
    high, low = (1 + 32 * (nits / 10_000) ** (1 / GAMMA) for nits in (PEAK_NITS, SDR_NITS))
    perceived_N = np.log(1 + (high - 1) * luma_N) / np.log(high)
    knee_N = np.select(
        [perceived_N <= 0.7399, perceived_N < 0.9909],
        [1.0770 * perceived_N, -1.1510 * perceived_N**2 + 2.7811 * perceived_N - 0.6302],
        0.5 * perceived_N + 0.5,
    )
    mapped_N = (low**knee_N - 1) / (low - 1)
    colour_N = mapped_N / np.maximum(1.1 * luma_N, 1e-6)
    blue_N = colour_N * (hdr_N3[:, 2] - luma_N) / CB
    red_N = colour_N * (hdr_N3[:, 0] - luma_N) / CR
    y_N = mapped_N - np.maximum(0.1 * red_N, 0)
    r_N, b_N = y_N + CR * red_N, y_N + CB * blue_N
    g_N = (y_N - LUMA_3[0] * r_N - LUMA_3[2] * b_N) / LUMA_3[1]
    return np.stack([r_N, g_N, b_N], axis=-1)
