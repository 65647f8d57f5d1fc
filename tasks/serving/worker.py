"""The process that runs the dubbing jobs of the web page, one after the other; orders and answers go through a pipe.

It is a process of its own because it decodes strangers' files: it can be killed at any moment, and if it crashes, the
page stays up. It ends with its parent.
"""

import contextlib
import io
import signal
import tempfile
from multiprocessing.connection import Connection

from tasks.core import progress
from tasks.core.errors import UserError
from tasks.serving.messages import Done, DubOrder, Progress
from tasks.serving.uploads import without_folders


def work(pipe: Connection) -> None:
    """Take orders until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when it ends
    import tasks.dubbing.dub  # noqa: F401 - loaded while the visitor still chooses

    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            order = pipe.recv()
            pipe.send(Done(run(order, pipe)))


def run(order: DubOrder, pipe: Connection) -> str:
    """ "" or why it was refused. A bug of ours ends this process, with its traceback on the terminal."""
    from tasks.dubbing import dub
    from tasks.tracking import registry

    tempfile.tempdir = str(order.out.parent)  # so that temporary files of a killed job are deleted with its folder
    sound = str(order.sound) if order.sound else None
    try:
        with progress.reported(lambda *state: pipe.send(Progress(*state))), contextlib.redirect_stderr(io.StringIO()):
            checkpoint = order.checkpoint and registry.path_of(order.checkpoint)
            dub.run(str(order.face), sound, str(order.out), checkpoint, options=order.options)
    except UserError as error:
        return without_folders(str(error))
    return ""
