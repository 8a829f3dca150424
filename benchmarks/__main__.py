"""Run the short benchmarks, one after another."""

import argparse
import ast
import subprocess
import sys
from pathlib import Path

SHORT = ("grading",)
"""Benchmarks of about a minute."""


def main() -> int:
    """Run each short benchmark in its own process; return 1 if one failed, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=f"All benchmarks, each with its own --help:\n{listing()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a benchmark")
    parser.add_argument("--smallest", action="store_true", help="use the smallest sizes")
    options = parser.parse_args()
    flags = [f"--{name}" for name, is_set in vars(options).items() if is_set]
    num_failed = 0
    for name in SHORT:
        print(f"== {name}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *flags]
        num_failed += subprocess.run(command, check=False).returncode != 0
    return int(num_failed > 0)


def names() -> list[str]:
    """Return the names of all benchmarks, without importing them."""
    return [
        path.stem
        for path in sorted(Path(__file__).parent.glob("*.py"))
        if "\nBENCHMARK = Benchmark(" in path.read_text(encoding="utf-8")
    ]


def listing() -> str:
    """Return one line a benchmark: its command and the question that it answers."""
    lines = []
    for name in names():
        source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
        question = (ast.get_docstring(ast.parse(source)) or "").split("\n")[0]
        lines.append(f"  python -m benchmarks.{name:<16} {question}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
