"""Checks that the zips run on the architecture and the runtime to which a template deploys them.

Each function's zip must exist and hold a `bootstrap`. This must be an ELF file for the template's architecture, need no
newer glibc than the runtime has, be built without the cargo feature `unauthenticated`, and hold no path of this
machine, because another machine would then build another zip. Neither `sam validate` nor `sam deploy` checks any of
this.
"""

import io
import sys
import zipfile
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from samtranslator.yaml_helper import yaml_parse

from release_build import cargo_home
from samconfig import parameters, settings_from_arguments

MACHINES = {"arm64": "EM_AARCH64", "x86_64": "EM_X86_64"}
# Warning that a function of the API built with that feature logs at its start (`shared/src/http/mod.rs`).
UNAUTHENTICATED_ONLY = b"built with the feature unauthenticated"
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html: Amazon Linux 2 and 2023
GLIBC = {"provided.al2": (2, 26), "provided.al2023": (2, 34)}


def needed_glibc(elf: ELFFile) -> tuple[int, ...]:
    """Newest version of glibc that the file needs; (0,) for none."""
    versions = [(0,)]
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for _, needs in section.iter_versions():
                names = (need.name for need in needs)
                versions += [tuple(map(int, n[6:].split("."))) for n in names if n.startswith("GLIBC_2")]
    return max(versions)


def places() -> list[Path]:
    """Folders that a compiler may name in a bootstrap. Not the checkout itself: a path like `/a` is found by chance."""
    checkout = [Path.cwd() / name for name in ("functions", "shared", "target")]
    return [*checkout, cargo_home() / "registry", cargo_home() / "git"]


def problem(path: Path, architecture: str, runtime: str) -> str | None:
    """Returns the reason why the zip can't run there, or None."""
    try:
        with zipfile.ZipFile(path) as archive:
            bootstrap = archive.read("bootstrap")
        elf = ELFFile(io.BytesIO(bootstrap))
    except FileNotFoundError:
        return "is missing: run `make release-build`"
    except KeyError:
        return "has no bootstrap"
    except (zipfile.BadZipFile, ELFError) as error:
        return f"is not a zip with an ELF bootstrap: {error}"
    needed = needed_glibc(elf)
    named = next((place for place in places() if f"{place}/".encode() in bootstrap), None)
    problems = {
        f"is built for {elf['e_machine']}, but the template's architecture is {architecture}": (
            elf["e_machine"] != MACHINES[architecture]
        ),
        "is built with the cargo feature unauthenticated, which turns authentication off": (
            UNAUTHENTICATED_ONLY in bootstrap
        ),
        f"needs glibc {'.'.join(map(str, needed))}, but {runtime} has {'.'.join(map(str, GLIBC[runtime]))}": (
            needed > GLIBC[runtime]
        ),
        f"holds the path of the machine that built it: {named}": named,
    }
    return next((text for text, is_so in problems.items() if is_so), None)


def check(template_path: Path, overrides: list[str]) -> list[str]:
    """Checks the zips of all functions of the template; returns one line per problem."""
    template = yaml_parse(template_path.read_text())
    values = parameters(template, overrides)
    functions = [r for r in template["Resources"].values() if r["Type"] == "AWS::Serverless::Function"]
    zips = [Path(f["Properties"]["CodeUri"]) for f in functions]
    found = ((z, problem(template_path.parent / z, values["Architecture"], values["Runtime"])) for z in zips)
    return [f"{path} {text}" for path, text in found if text]


def main() -> int:
    settings = settings_from_arguments(__doc__.splitlines()[0])
    problems = check(Path("template.yaml"), settings["parameter_overrides"])
    for line in problems:
        print(f"error: {line}", file=sys.stderr)
    if not problems:
        print(f"all zips run on the architecture and the runtime of {settings['env']}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
