"""Train in processes of their own, launched by Dagster for models on several GPUs.

The command line is that of :mod:`training`. The main process reports to Dagster through Pipes: the
fields of a TrainingReport, or the rows of metrics of PPO or GRPO as ``history``.
"""

import os
from dataclasses import asdict

from dagster_pipes import open_dagster_pipes

from training.__main__ import run
from training.runs import TrainingReport

if __name__ == "__main__":
    if os.environ["RANK"] == "0":
        with open_dagster_pipes() as pipes:
            trained = run()
            pipes.report_custom_message(
                asdict(trained) if isinstance(trained, TrainingReport) else {"history": trained}
            )
    else:
        run()
