"""Dub a video from Python, and read in the JSON beside it what was changed.

    python -m examples.dub_from_python                              what `make demo` left in out/
    python -m examples.dub_from_python talk.mp4 speech.wav out/dubbed.mp4

`dub.run` is what `python -m flows dub` calls: the same checks, the same signed mark, and a second call with the same
inputs keeps what the first one made. Wrong input is a UserError with one line for the user.
"""

import json
import sys

from tasks.core.errors import UserError
from tasks.dubbing import dub
from tasks.dubbing.options import Options

DEMO = ["out/demo-face.mp4", "out/demo-speech.wav", "out/from-python.mp4"]


def main(face: str, audio: str, out: str) -> None:
    made = dub.run(face, audio, out, options=Options(label="AI dubbed", crf=20))
    about = json.loads(made.with_suffix(".json").read_text())
    print(f"{made}: {about['frames']} frames, {about['duration_s']:.2f} s, {about['changed']} of them changed")
    for span in about["passed_through"]:
        print(f"  {span['from_s']:.2f} to {span['to_s']:.2f} s is as it was: {span['reason']}")
    for span in about["confidence"]:
        print(f"  {span['from_s']:.2f} to {span['to_s']:.2f} s: mouth and sound fit with {span['fits']:.2f} of 1")
    print(f"  by checkpoint {about['made_by']['checkpoint']}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:] or DEMO)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_status)
