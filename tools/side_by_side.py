"""Runs verbs of the Makefile at the same time: `side_by_side.py make lint unit template`.

The output of each is printed in one piece when it ends. All of them run to their end, even if one fails.
"""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed


def run(make: str, verb: str) -> tuple[str, float, subprocess.CompletedProcess[bytes]]:
    """Returns the verb, its time in seconds, and how it has ended."""
    started = time.monotonic()
    ended = subprocess.run(
        [make, verb], check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return verb, time.monotonic() - started, ended


def main() -> int:
    make, *verbs = sys.argv[1:]
    print(f"{', '.join(verbs)}: running side by side ...", flush=True)
    failed = []
    with ThreadPoolExecutor(len(verbs)) as pool:
        for done in as_completed([pool.submit(run, make, verb) for verb in verbs]):
            verb, seconds, ended = done.result()
            print(f"\n=== {verb}", flush=True)
            sys.stdout.buffer.write(ended.stdout)
            print(f"=== {verb}: {seconds:.0f} s", flush=True)
            if ended.returncode:
                failed.append(verb)
    if failed:
        print(f"\nerror: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        # The terminal has interrupted the verbs, too.
        sys.exit(130)
