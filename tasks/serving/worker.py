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
from tasks.serving.messages import Done, DubOrder, EditOrder, Progress
from tasks.serving.uploads import without_folders


def work(pipe: Connection) -> None:
    """Take orders until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when it ends
    import tasks.dubbing.dub  # noqa: F401 - loaded while the visitor still chooses

    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            order = pipe.recv()
            pipe.send(Done(run(order, pipe)))


def run(order: DubOrder | EditOrder, pipe: Connection) -> str:
    """ "" or why it was refused. A bug of ours ends this process, with its traceback on the terminal."""
    tempfile.tempdir = str(order.out.parent)  # so that temporary files of a killed job are deleted with its folder
    try:
        with progress.reported(lambda *state: pipe.send(Progress(*state))), contextlib.redirect_stderr(io.StringIO()):
            dubbed(order) if isinstance(order, DubOrder) else edited(order)
    except UserError as error:
        return without_folders(str(error))
    return ""


def dubbed(order: DubOrder) -> None:
    from tasks.dubbing import dub
    from tasks.tracking import registry

    sound = str(order.sound) if order.sound else None
    checkpoint = order.checkpoint and registry.path_of(order.checkpoint)
    dub.run(str(order.face), sound, str(order.out), checkpoint, options=order.options)


def edited(order: EditOrder) -> None:
    from tasks.edit import edit, preview

    if order.step == "words":
        edit.write_words(order.face, order.transcript, order.out)
        return
    asked = edit.Order(
        face=order.face, transcript=edit.read_words(order.transcript), to=order.to, force=order.force,
        options=order.options,
    )  # fmt: skip
    if order.step == "preview":
        preview.run(asked, order.out)
    else:
        edit.run(asked, str(order.out))
