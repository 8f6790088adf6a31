"""Build sdist and wheel, install the wheel into an empty environment, and use it from another folder.

    python scripts/check_package.py

Nothing is downloaded: the environment sees the packages that this Python has, but not the checkout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
LICENCES = ("LICENSE", "src/vitruve/bodies/open_data/LICENCE")
USE = """
import vitruve, pathlib, sys
from vitruve.motion import bundled_clip_path
assert pathlib.Path(vitruve.__file__).is_relative_to(sys.prefix), vitruve.__file__
body, clip = vitruve.load_body("open-smplh-neutral"), vitruve.load_motion(bundled_clip_path())
assert clip[:2].vertices(body).isfinite().all()
print(f"{len(clip)} frames of the bundled clip on {body.name}")
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        files = sources()
        # Built from a copy: what earlier builds left in the checkout would find its way into this one.
        for name in files:
            (place / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, place / "source" / name)
        sdist, wheel = build(place / "source", place / "dist")
        check_contents({name for name in files if name.startswith("src/vitruve/")}, sdist, wheel)
        use(wheel, place)
    print("the package is whole")


def sources() -> list[str]:
    """The files of the checkout that git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


def build(source: Path, out: Path) -> tuple[Path, Path]:
    """The sdist, and the wheel that is built from it."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
    return next(out.glob("*.tar.gz")), next(out.glob("*.whl"))


def check_contents(expected: set[str], sdist: Path, wheel: Path) -> None:
    """Every file of the package is in both, data and licences too."""
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    missing = {f"wheel: {name}" for name in expected if name.removeprefix("src/") not in names}
    info = next(name for name in names if name.endswith(".dist-info/METADATA")).removesuffix("METADATA")
    missing |= {f"wheel: {licence}" for licence in LICENCES if f"{info}licenses/{licence}" not in names}
    with tarfile.open(sdist) as packed:
        inside = {name.partition("/")[2] for name in packed.getnames()}
    missing |= {f"sdist: {name}" for name in {*LICENCES, *expected} - inside}
    if missing:
        sys.exit("the package lacks files (see package-data in pyproject.toml):\n  " + "\n  ".join(sorted(missing)))


def use(wheel: Path, place: Path) -> None:
    """Install into an empty environment, run the command there and load what ships with the package."""
    venv.create(place / "venv", with_pip=False, symlinks=os.name != "nt")
    paths = sysconfig.get_paths(vars={"base": str(place / "venv"), "platbase": str(place / "venv")})
    python = Path(paths["scripts"]) / ("python.exe" if os.name == "nt" else "python")
    # A folder named here is searched, but its own .pth files, such as that of an editable install, are not read.
    folders = [folder for folder in sys.path if Path(folder).name == "site-packages"]
    (Path(paths["purelib"]) / "dependencies.pth").write_text("\n".join(folders) + "\n")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    install = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), "install"]
    options = ["--quiet", "--no-deps", "--no-index", "--ignore-installed", str(wheel)]
    command = str(python.with_name("vitruve" + python.suffix))
    for words in (
        install + options,
        [command, "--version"],
        [command, "--help"],
        [command, "doctor"],
        [str(python), "-c", USE],
    ):
        done = subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    print(done.stdout, end="")


if __name__ == "__main__":
    main()
