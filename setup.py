"""What pyproject.toml cannot say: the files from which `lipgan init` lays out a project go into the wheel."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
FILES = (*(HERE / "MANIFEST.in").read_text().split()[1:], "pyproject.toml")


class BuildWithProject(build_py):
    """The packages, and the files of tasks/provenance/project.py in released/project."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # the checkout itself has them
            return
        folder = Path(self.build_lib) / "released/project"
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copyfile(HERE / name, folder / Path(name).name)


setup(cmdclass={"build_py": BuildWithProject})
