"""Build of the package: besides `islanding` itself, the wheel carries the content folders of the checkout."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

CONTENT = ("suites", "experiments", "fixtures", "reports")  # as in islanding.paths


class BuildWithContent(build_py):
    """Copies the content folders to islanding/content, where islanding.paths finds them without a checkout."""

    def run(self) -> None:
        """Build the package, then add the content; an editable install reads the checkout's own folders."""
        super().run()
        if self.editable_mode:
            return
        for kind in CONTENT:
            shutil.copytree(
                Path(kind),
                Path(self.build_lib) / "islanding" / "content" / kind,
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns("__pycache__"),
            )


setup(
    packages=find_packages(include=["islanding", "islanding.*"]),
    # Everything that lies in the package belongs to it: units, scripts, go.mod and go.sum.
    package_data={"islanding": ["**/*"]},
    exclude_package_data={"": ["__pycache__/*", "*.pyc"]},
    cmdclass={"build_py": BuildWithContent},
)
