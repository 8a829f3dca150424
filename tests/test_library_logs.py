"""The console shows the project's own lines; those of libraries are in a file."""

import subprocess
import sys
from pathlib import Path

OPEN = """
import logging, os, subprocess, sys
from pathlib import Path
from resources.engines.library_logs import prints_go_to

logger = logging.getLogger("vllm")
logger.addHandler(logging.StreamHandler(sys.stdout))
for _ in range(2):
    with prints_go_to(Path(sys.argv[1])):
        logger.warning("of the opening")
        print("of Python")
        os.write(2, b"of C\\n")
        command = ["sh", "-c", "read line; echo of a worker"]
        worker = subprocess.Popen(command, stdin=subprocess.PIPE)
    print("own line", flush=True)
    logger.warning("of the running engine")
    worker.communicate(b"go\\n")
try:
    with prints_go_to(Path(sys.argv[1])):
        raise ValueError("no such model")
except ValueError as error:
    print(error)
"""


def test_what_libraries_print_goes_to_the_file_which_is_named_once(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "engines.log"
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(log)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["own line", "own line", "no such model"]
    assert done.stderr.splitlines() == [f"   messages of the model libraries: {log}"]
    lines = log.read_text().splitlines()
    for line in ("of Python", "of C", "of a worker"):
        assert lines.count(line) == 2
    for line in ("of the opening", "of the running engine"):
        assert sum(line in each for each in lines) == 2
