"""Hooks of mkdocs: pages made from the code at build time, and pictures that lie outside docs/.

reads   flows/ (argparse), params.yaml, model/params.py, the docstrings of flows/, tasks/ and model/, benchmarks/results
fills   commands.md, parameters.md
adds    api/*.md, img/*
"""

import os
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
os.environ["COLUMNS"] = "98"  # where argparse breaks the lines of a help, whatever the terminal
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import pages  # noqa: E402

PICTURES = "../benchmarks/results/"  # as the pages name them, so that they are shown in the repository too


def on_config(config: Any) -> Any:
    api = [{title: name} for name, title, _ in pages.api(ROOT)]
    config["nav"] = [*config["nav"], {"Modules": api}]
    return config


def on_files(files: Files, config: Any) -> Files:
    for name, _, text in pages.api(ROOT):
        files.append(File.generated(config, name, content=text))
    for picture in sorted((ROOT / "benchmarks/results").glob("*.[pj][np]g")):
        files.append(File.generated(config, f"img/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    if page.file.src_uri in pages.FILLED:
        return pages.FILLED[page.file.src_uri](ROOT)
    return markdown.replace(PICTURES, "img/")
