"""The kinds of error that every stage uses, and the reasons for which a clip is refused."""


class UserError(Exception):
    """The input or the parameters are wrong. Shown as one line, without a traceback; exit status 2."""

    exit_status = 2


class Stopped(UserError):
    """The work was asked to stop; the same command resumes it. Exit status 75, EX_TEMPFAIL of sysexits.h."""

    exit_status = 75


class Refusal(Exception):
    """One clip is left out. `reason` is a key of REASONS, so that refusals can be counted."""

    def __init__(self, reason: str, detail: str) -> None:
        assert reason in REASONS, reason
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


# reason -> meaning; a reason once in use keeps its meaning
REASONS = {
    "not_a_video": "the file's name does not end like a video's",
    "hidden": "its name begins with a dot",
    "not_a_file": "it is a link to nothing, a pipe, a socket or a device",
    "empty_file": "the file has no bytes",
    "missing": "a list names the clip, but the source does not contain it",
    "not_listed": "the source contains the file, but no list names it",
    "withdrawn": "the person asked to be left out: withdrawals.csv",
    "held_out_programme": "its programme is in val or test: no clip of it may be trained on",
    "duplicate": "another clip has the same bytes or the same id",
    "unreadable": "no video frame could be decoded",
    "truncated": "the container declares clearly more than could be decoded",
    "no_sound": "there is no audio stream, or no sample in it",
    "no_face": "the detector found a face in too few frames",
    "too_short": "fewer frames than an identity frame at its distance needs",
    "too_long": "more frames than one clip may have",
    "too_slow": "more processor time than one clip may take",
    "black": "too many frames that show nothing",
    "frozen": "too many frames that repeat the one before",
    "scene_cut": "the whole image changes from one frame to the next",
    "face_too_small": "the face has too few pixels",
    "jumping_box": "the face moves further in one frame than a head can",
    "profile": "the head is turned too far",
    "silence": "the audio is too quiet for speech",
    "clipping": "too many samples are clipped at full scale",
    "length_mismatch": "the audio is longer or shorter than the video",
    "noisy_sound": "the audio is about as loud in pauses as in speech",
    "music": "steady tones make up nearly all of the audio",
    "out_of_sync": "the mouth does not move with the audio, and shifting the audio did not fix it",
}
