"""The parameters of one synthetic person: colours, proportions, hair, glasses. grid.py builds a head from them.

Lengths are in head units: the half width of an average head is 0.75, the eyes are near y = 0.2, the mouth near -0.55.
"""

from dataclasses import dataclass, replace

import numpy as np

from model import seeds

EYE_LINE = 0.20
MOUTH_LINE = -0.55

# 0..255 RGB, light to dark
SKINS = ((236, 200, 180), (228, 186, 160), (214, 168, 138), (198, 150, 116),
         (172, 124, 92), (140, 98, 70), (108, 74, 54), (84, 58, 44))  # fmt: skip
HAIRS = ((22, 18, 16), (38, 28, 22), (66, 44, 30), (96, 66, 42), (150, 112, 66),
         (190, 156, 100), (120, 56, 30), (150, 148, 146), (206, 204, 200))  # fmt: skip
IRISES = ((66, 42, 26), (92, 62, 36), (86, 96, 58), (84, 118, 146), (110, 132, 140), (40, 28, 22))
LIPSTICKS = ((0.70, 0.16, 0.20), (0.62, 0.25, 0.28), (0.75, 0.32, 0.30), (0.48, 0.12, 0.20))
GLASSES = ((0.08, 0.07, 0.07), (0.35, 0.20, 0.10), (0.50, 0.50, 0.52))
HAIR_STYLES = {
    True: ("long", "long", "medium", "side", "scarf", "bun"),
    False: ("short", "short", "crop", "bald", "side", "medium"),
}
CURTAINED = ("long", "medium", "scarf")  # styles that hang down beside the face and hide the ears


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One person. Colours (3,) float RGB in [0, 1]; lengths in head units; factors near 1."""

    seed: int
    female: bool
    cartoon: bool
    age: float  # 0 smooth .. 1 wrinkled
    # colours
    skin_3: np.ndarray
    hair_3: np.ndarray
    iris_3: np.ndarray
    lip_3: np.ndarray
    cloth_3: np.ndarray
    cloth2_3: np.ndarray
    scarf_3: np.ndarray
    cloth_kind: int  # 0 plain, 1 open collar in the second colour, 2 stripes
    # skull
    width: float
    height: float
    jaw: float
    chin: float
    fat: float
    cheek: float
    # nose
    nose_width: float
    nose_height: float
    nose_drop: float
    # eyes and brows
    eye_x: float
    eye_y: float
    eye_width: float
    eye_height: float
    eye_tilt: float
    brow_y: float
    brow_width: float
    brow_arch: float
    brow_dark: float
    # mouth: half width, thickness of the lips, depth of the upper lip's bow, height of the seam
    mouth_width: float
    lip_upper: float
    lip_lower: float
    lip_bow: float
    mouth_y: float
    # hair, beard, glasses
    hair: str
    hairline: float
    hair_volume: float
    parting: float
    beard: float
    moustache: float
    glasses: bool
    glasses_3: np.ndarray
    glasses_radius: tuple[float, float]

    @property
    def nose_y(self) -> float:
        """Height of the tip of the nose."""
        return -0.20 + self.nose_drop


def draw(seed: int, *, female: bool | None = None, cartoon: bool = False) -> Identity:
    """A random person; the same for the same arguments."""
    rng = seeds.generator(seed, "identity")
    u = rng.uniform
    female = bool(rng.random() < 0.5) if female is None else female
    age = u()
    tone = u(0, len(SKINS) - 1)
    dark = tone / (len(SKINS) - 1)
    skin_3 = _skin(rng, tone)
    beard, moustache = (0.0, 0.0) if female else _beard(rng)
    eye_y = EYE_LINE + u(-0.02, 0.02)
    full_lips = 1.1 if dark > 0.5 else 1.0
    irises = (0, 1, 5) if dark > 0.5 else (0, 1, 2, 3, 4)
    person = Identity(
        seed=seed, female=female, cartoon=cartoon, age=age,
        skin_3=skin_3,
        hair_3=_hair_colour(rng, dark, age),
        iris_3=np.array(IRISES[rng.choice(irises)]) / 255 * u(0.85, 1.15),
        lip_3=_lip_colour(rng, skin_3, female),
        cloth_3=_cloth(rng), cloth2_3=_cloth(rng), scarf_3=_cloth(rng), cloth_kind=int(rng.integers(0, 3)),
        width=u(0.98, 1.16), height=u(0.96, 1.05), jaw=u(0.88, 1.12) * (0.96 if female else 1.03),
        chin=u(0.85, 1.2), fat=u(-0.03, 0.06), cheek=u(-0.02, 0.05),
        nose_width=u(0.8, 1.3), nose_height=u(0.8, 1.2), nose_drop=u(-0.05, 0.04),
        eye_x=u(0.285, 0.325), eye_y=eye_y, eye_width=u(0.125, 0.155), eye_height=u(0.050, 0.072),
        eye_tilt=u(-0.12, 0.18),
        brow_y=eye_y + u(0.135, 0.185), brow_width=u(0.018, 0.04) * (0.8 if female else 1.15),
        brow_arch=u(0.01, 0.06), brow_dark=u(0.55, 0.9),
        mouth_width=u(0.225, 0.29), lip_upper=u(0.045, 0.085) * full_lips, lip_lower=u(0.065, 0.105) * full_lips,
        lip_bow=u(0.2, 1), mouth_y=MOUTH_LINE + u(-0.02, 0.02),
        hair=str(rng.choice(HAIR_STYLES[female])), hairline=u(0.78, 1.0), hair_volume=u(0.05, 0.16),
        parting=u(-0.5, 0.5),
        beard=beard, moustache=moustache,
        glasses=bool(rng.random() < 0.22), glasses_3=np.array(GLASSES[rng.integers(0, 3)]),
        glasses_radius=(u(0.17, 0.2), u(0.12, 0.17)),
    )  # fmt: skip
    return _as_cartoon(person) if cartoon else person


def _skin(rng: np.random.Generator, tone: float) -> np.ndarray:
    skins = np.array(SKINS) / 255
    lower = int(tone)
    skin_3 = skins[lower] + (skins[min(lower + 1, len(SKINS) - 1)] - skins[lower]) * (tone - lower)
    return np.clip(skin_3 * rng.uniform(0.95, 1.05, 3), 0, 1).astype(np.float32)


def _hair_colour(rng: np.random.Generator, dark: float, age: float) -> np.ndarray:
    light = 1 - dark  # fair and red hair are rare with dark skin, grey and white hair depend on age
    odds = np.array([3, 3, 2, 2 * light, 1.5 * light**2 + 0.05, 1.2 * light**2 + 0.02, 0.6 * light + 0.02,
                     age * 1.5, age * 1.2])  # fmt: skip
    hair = HAIRS[rng.choice(len(HAIRS), p=odds / odds.sum())]
    return np.clip(np.array(hair) / 255 * rng.uniform(0.85, 1.15), 0, 1).astype(np.float32)


def _lip_colour(rng: np.random.Generator, skin_3: np.ndarray, female: bool) -> np.ndarray:
    lip_3 = skin_3 * np.array([0.86, 0.62, 0.62]) + np.array([0.05, 0.0, 0.01])
    if female and rng.random() < 0.45:
        lip_3 = 0.45 * lip_3 + 0.55 * np.array(LIPSTICKS[rng.integers(0, len(LIPSTICKS))])
    return np.clip(lip_3, 0, 1).astype(np.float32)


def _cloth(rng: np.random.Generator) -> np.ndarray:
    return np.clip(rng.uniform(0.06, 0.8) + 0.4 * rng.uniform(-0.5, 0.5, 3), 0.03, 0.95)


def _beard(rng: np.random.Generator) -> tuple[float, float]:
    beard = float(rng.choice([0, 0.35, 0.6, 0.85], p=[0.55, 0.20, 0.15, 0.10]))
    moustache = beard if rng.random() < 0.8 else 0.0
    return beard, 0.8 if not beard and rng.random() < 0.12 else moustache


def _as_cartoon(person: Identity) -> Identity:
    """Large eyes, small nose, no wrinkles; picture.py adds flat shading and outlines."""
    return replace(
        person,
        eye_width=person.eye_width * 1.30, eye_height=person.eye_height * 1.9, eye_x=person.eye_x * 1.08,
        eye_y=person.eye_y - 0.02, brow_y=person.brow_y + 0.07, brow_width=person.brow_width * 1.3, brow_dark=1.0,
        age=0.0, mouth_width=person.mouth_width * 1.15, nose_height=person.nose_height * 0.7,
        skin_3=np.clip(person.skin_3 * 1.12 + 0.03, 0, 1), hair_3=np.clip(person.hair_3 * 1.2, 0, 1),
        beard=0.0, moustache=0.0,
    )  # fmt: skip
