"""A video and an audio file in, the dubbed video out: dub.py runs it. Pass 1 finds the faces (look); script.py decides
who says what and when (speaker, hear, plan); pass 2 renders the mouths (render, blend) into the output (output).
"""
