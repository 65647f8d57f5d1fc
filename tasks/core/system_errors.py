"""What the system refuses and a user can change, as one line: a full disk, a folder without permission."""

import errno

from tasks.core.errors import UserError

ADVICE = {
    errno.EACCES: "give this user the right to read and write there, or choose another",
    errno.EPERM: "give this user the right to do that, or choose another folder",
    errno.EROFS: "it can only be read; choose a folder that can be written",
    errno.ENOSPC: "free some space; the same command then goes on",
    errno.EDQUOT: "free some space; the same command then goes on",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f), or use another disk",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "a file lies where a folder is wanted; move it away",
    errno.EISDIR: "a folder lies where a file is wanted; move it away, or name a file",
    errno.EEXIST: "a file lies where a folder is wanted; move it away",
    errno.ELOOP: "links lead in a circle; remove one of them",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the limit of open files of this machine",
    errno.EIO: "the disk has errors; check it",
    errno.ESTALE: "the network folder was unmounted; mount it again",
}


def as_user_error(error: OSError) -> UserError | None:
    """None where it is a bug of ours, which keeps its traceback."""
    if error.errno not in ADVICE:
        return None
    where = f"{error.filename2 or error.filename}: " if error.filename else ""
    return UserError(f"{where}{error.strerror}; {ADVICE[error.errno]}")
