"""Puts all evidence into the wheel as one compressed file. The build of the wheel runs this."""

import runpy
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLACE = "initcheck_benchmarks/baselines"


class Packing(BuildHookInterface):
    """A hook of the builder hatchling; pyproject.toml leaves the single files out."""

    def initialize(self, version, build_data):
        """Write the compressed file and add it. An editable install reads the single files."""
        if version == "editable":
            return
        root = Path(self.root)
        packed = runpy.run_path(str(root / "initcheck" / "baselines" / "packed.py"))
        self._folder = tempfile.TemporaryDirectory()
        file = Path(self._folder.name) / packed["NAME"]
        file.write_bytes(packed["pack"](root / "baselines" / "evidence"))
        build_data["force_include"][str(file)] = f"{PLACE}/{packed['NAME']}"

    def finalize(self, version, *_):
        """Remove the compressed file, which the wheel contains now."""
        if version != "editable":
            self._folder.cleanup()
