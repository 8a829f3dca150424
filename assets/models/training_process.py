"""Train in processes of their own, launched by Dagster for models on several GPUs.

The command line is that of :mod:`training`. The main process reports to Dagster through Pipes.
"""

import os
from dataclasses import asdict

from dagster_pipes import open_dagster_pipes

from training.__main__ import run

if __name__ == "__main__":
    if os.environ["RANK"] == "0":
        with open_dagster_pipes() as pipes:
            report = run()
            assert report is not None, "PPO and GRPO run in one process"
            pipes.report_custom_message(asdict(report))
    else:
        run()
