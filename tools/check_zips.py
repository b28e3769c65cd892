"""Checks that the zips which a template deploys run where it deploys them.

For each function: the zip is there, it holds a `bootstrap`, that is an ELF file for the template's architecture, it
asks for no younger glibc than the runtime has, and it is built without the cargo feature `unauthenticated`. Neither
`sam validate` nor `sam deploy` notices any of this.
"""

import io
import sys
import zipfile
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from samtranslator.yaml_helper import yaml_parse

from samconfig import asked_for

MACHINES = {"arm64": "EM_AARCH64", "x86_64": "EM_X86_64"}
# serde keeps this name in every binary that parses HTTP API (v2) events: those with the feature `unauthenticated`.
UNAUTHENTICATED_ONLY = b"ApiGatewayV2httpRequest"
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html: Amazon Linux 2 and 2023
GLIBC = {"provided.al2": (2, 26), "provided.al2023": (2, 34)}


def parameters(template: dict, overrides: list[str]) -> dict[str, str]:
    """The values of the template's parameters: their defaults, and what the configuration says instead."""
    defaults = {name: str(p["Default"]) for name, p in template["Parameters"].items() if "Default" in p}
    return defaults | dict(override.split("=", 1) for override in overrides)


def needed_glibc(elf: ELFFile) -> tuple[int, ...]:
    """The youngest version of glibc that the file asks for; (0,) for none."""
    versions = [(0,)]
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for _, needs in section.iter_versions():
                names = (need.name for need in needs)
                versions += [tuple(map(int, n[6:].split("."))) for n in names if n.startswith("GLIBC_2")]
    return max(versions)


def problem(path: Path, architecture: str, runtime: str) -> str | None:
    """What keeps that zip from running there, if anything does."""
    try:
        with zipfile.ZipFile(path) as archive:
            bootstrap = archive.read("bootstrap")
        elf = ELFFile(io.BytesIO(bootstrap))
    except FileNotFoundError:
        return "is missing: run `make release-build`"
    except KeyError:
        return "holds no bootstrap"
    except (zipfile.BadZipFile, ELFError) as error:
        return f"is no zip of an ELF bootstrap: {error}"
    needed = needed_glibc(elf)
    problems = {
        f"is built for {elf['e_machine']}, and the template's architecture is {architecture}": (
            elf["e_machine"] != MACHINES[architecture]
        ),
        "is built with the cargo feature unauthenticated, which lets everybody in": UNAUTHENTICATED_ONLY in bootstrap,
        f"needs glibc {'.'.join(map(str, needed))}, and {runtime} has {'.'.join(map(str, GLIBC[runtime]))}": (
            needed > GLIBC[runtime]
        ),
    }
    return next((what for what, so in problems.items() if so), None)


def check(template_path: Path, overrides: list[str]) -> list[str]:
    """Checks every function of the template; returns what is wrong, a line each."""
    template = yaml_parse(template_path.read_text())
    values = parameters(template, overrides)
    functions = [r for r in template["Resources"].values() if r["Type"] == "AWS::Serverless::Function"]
    zips = [Path(f["Properties"]["CodeUri"]) for f in functions]
    found = ((z, problem(template_path.parent / z, values["Architecture"], values["Runtime"])) for z in zips)
    return [f"{path} {what}" for path, what in found if what]


def main() -> int:
    settings = asked_for(__doc__.splitlines()[0])
    wrong = check(Path("template.yaml"), settings["parameter_overrides"])
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    if not wrong:
        print(f"every zip runs where {settings['env']} deploys it")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
