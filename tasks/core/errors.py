"""What every stage shares: errors, the ledger of refused clips, outputs that are whole or absent."""


class UserError(Exception):
    """The input or the parameters are wrong. Shown as one line, without a traceback; exit status 2."""

    exit_status = 2


class Stopped(UserError):
    """The work was asked to stop, and the same command goes on with it. Exit status 75, EX_TEMPFAIL of sysexits.h."""

    exit_status = 75


class Refusal(Exception):
    """Why one clip was left out. `reason` is a word of REASONS, because it is counted."""

    def __init__(self, reason: str, detail: str) -> None:
        assert reason in REASONS, reason
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


# reason -> what it means; a word once used keeps its meaning
REASONS = {
    "not_a_video": "the file's name has no ending of a video",
    "empty_file": "the file has no bytes",
    "missing": "a list names the clip, the source does not hold it",
    "not_listed": "the source holds the file, no list names it",
    "withdrawn": "the person asked to be left out: withdrawals.csv",
    "held_out_programme": "its programme is in val or test: nothing of it may be trained on",
    "duplicate": "another clip has the same bytes or the same id",
    "unreadable": "no video frame could be decoded",
    "truncated": "the container promises clearly more than could be decoded",
    "no_sound": "there is no sound stream, or no sample in it",
    "no_face": "the detector found a face in too few frames",
    "too_short": "fewer frames than an identity frame at its distance needs",
    "too_long": "more frames than one clip may have",
    "too_slow": "more processor time than one clip may take",
    "black": "too many pictures that show nothing",
    "frozen": "too many pictures that are the one before",
    "scene_cut": "the whole picture changes from one frame to the next",
    "face_too_small": "the face has too few pixels",
    "jumping_box": "the face moves further in one frame than a head can",
    "profile": "the head is turned too far",
    "silence": "the sound is too quiet for speech",
    "clipping": "too many samples are cut off at full scale",
    "length_mismatch": "the sound is longer or shorter than the pictures",
    "noisy_sound": "the sound is about as loud in pauses as in speech",
    "music": "steady tones are nearly all of the sound",
    "out_of_sync": "the mouth does not move with the sound, and moving the sound did not mend it",
}
