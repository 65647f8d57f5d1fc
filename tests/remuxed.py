"""A video whose streams are copied into another file, as `ffmpeg -c copy` does it."""

import av


def remuxed(source, target, *, keep_tags=True):
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        if keep_tags:
            new.metadata.update(old.metadata)
        into = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = into[packet.stream.index]
                new.mux(packet)
    return target
