"""The sentences and voices of each split: splits share no sentence, no part of one, and no voice.

A voice is an accent and, after the plus, espeak's variant, which sets the timbre. Splits share no variant either, so
that an unseen voice has a new timbre and not only a new accent.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Script:
    """A split's voices, complete short sentences, and the parts of longer ones."""

    men: tuple[str, ...]
    women: tuple[str, ...]
    short: tuple[str, ...]  # spoken in 1.2 s or less
    subjects: tuple[str, ...]
    verbs: tuple[str, ...]
    objects: tuple[str, ...]
    endings: tuple[str, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        return (*self.short, *self.subjects, *self.verbs, *self.objects, *self.endings)

    def voice(self, rng: np.random.Generator, female: bool) -> str:
        return str(rng.choice(self.women if female else self.men))

    def sentence(self, rng: np.random.Generator, size: str) -> str:
        """size: "tiny" for a short one, about 3.5 s otherwise"""
        if size == "tiny":
            return str(rng.choice(self.short))
        parts = [rng.choice(part) for part in (self.subjects, self.verbs, self.objects)]
        if rng.random() < 0.55:
            parts.append(rng.choice(self.endings))
        return " ".join(map(str, parts))


def _lines(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("/"))


SCRIPTS = {
    "train": Script(
        men=("en+m1", "en-us", "en-gb-x-rp+m3", "en-us+m5", "en-gb-scotland+m7", "en-029+m2", "en-us+robert", "en+Lee",
             "en+max", "en+victor"),
        women=("en+f1", "en-us+f2", "en-gb-scotland+f3", "en-gb-x-rp+f4", "en-029+f1", "en-us+Annie", "en+aunty",
               "en-gb-x-gbclan+f3"),
        short=_lines(
            "my brother gave up / we have to move / open the box / pass me a map / what a day / go over there"
        ),
        subjects=_lines(
            "the old teacher / my brother / a young doctor / the whole family / our neighbour / the prime minister / "
            "a famous painter / the weather / this beautiful garden / every farmer / the small village / "
            "her best friend / the football team / a good book / the last bus / the river bank"
        ),
        verbs=_lines(
            "has moved to / will be back from / never bought / might have found / walked over / should remember / "
            "wants to show / is coming through / looked after / was very proud of / gave up / hopes to visit / "
            "must protect / thought about"
        ),
        objects=_lines(
            "the blue house by the sea / a warm cup of coffee / four big boxes of apples / the north of Scotland / "
            "all of the people who live here / what you saw in the market / the most wonderful food / "
            "a very cheap holiday / some of the oldest paintings / the other side of the valley / "
            "a bottle of fresh water / the bridge above the mill"
        ),
        endings=_lines(
            "this morning / before supper / for the very first time / in the middle of winter / and we love it / "
            "so far / at the weekend / with a smile / as you can see / thank you very much"
        ),
    ),
    "val": Script(
        men=("en+m4", "en-us+john"),
        women=("en+f5", "en-us+linda"),
        short=_lines("time to go home / buy a map / look up now / keep the change"),
        subjects=_lines("a tall woman / your uncle / the captain of the boat / that big dog / my mother"),
        verbs=_lines("has forgotten / would never sell / put away / talked all night about / found"),
        objects=_lines(
            "the key to the back door / a hundred pounds in cash / these lovely purple flowers / "
            "the map of our island / five bags of brown sugar"
        ),
        endings=_lines("last Monday / if they may / without any help / and so on"),
    ),
    "test": Script(
        men=("en-gb-scotland+Mike", "en-us+m6", "en-gb-x-rp+m8"),
        women=("en+belinda", "en-us+Andrea"),
        short=_lines("give him a hand / more bread please / move it up / both of them came"),
        subjects=_lines(
            "the new museum / a group of pupils / somebody in the office / the baker / my favourite programme / "
            "an empty boat / the mayor of the town"
        ),
        verbs=_lines(
            "kept away from / is about to open / saved / will probably become / showed us / moves slowly towards / "
            "has always been"
        ),
        objects=_lines(
            "the harbour at the foot of the hill / half a pound of butter / one of the first railways / "
            "a much better place for birds / the top of that old tower / a film about mountains / "
            "everything above the shop"
        ),
        endings=_lines("by the end of May / for five months / every afternoon / as far as I know / in the heavy rain"),
    ),
    "hard": Script(
        men=("en+Michael", "en-gb-x-gbcwmd+Denis", "en-us-nyc+quincy", "en-gb-x-rp+Gene"),
        women=("en+steph", "en+shelby", "en-us+anika"),
        short=_lines("push the boat off / who pays for it / a bite of pie / make up your mind"),
        subjects=_lines(
            "a member of the club / the lamp beside the bed / nobody here / the company / an expert on bees / "
            "the oldest bishop / their puppy / this ferry"
        ),
        verbs=_lines(
            "complains about / jumped from / provides / is famous for / began with / may still have / "
            "paid for / disappeared behind"
        ),
        objects=_lines(
            "the broken umbrella / our map of the mountains of Peru / a plate of fish and chips / "
            "the bottom of the page / many pots of home made jam / the people from the museum / "
            "an apple pie / the back of the van"
        ),
        endings=_lines("on a Friday / more or less / after breakfast / before anyone else / in the beginning"),
    ),
}  # fmt: skip
