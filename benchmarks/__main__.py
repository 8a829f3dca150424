"""Run the short benchmarks, one after another: ``python -m benchmarks [--json]``."""

import subprocess
import sys

SHORT = ("grading",)


def main() -> int:
    """Run each in a process of its own; return how many failed."""
    failed = 0
    for name in SHORT:
        print(f"== {name}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]]
        failed += subprocess.run(command, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
