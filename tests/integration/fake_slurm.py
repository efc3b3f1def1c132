"""A SLURM of one machine: `python fake_slurm.py sbatch|srun|sacct|scancel ...`, its jobs in the folder FAKE_SLURM.

As little of each as submitit uses: array jobs with a limit of tasks at once, outputs of tasks, states, and ends.
"""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FOLDER = Path(os.environ["FAKE_SLURM"])


def sbatch(*arguments: str) -> int:
    """Note the job, and run it in a process of its own."""
    job = str(1 + len(list(FOLDER.glob("*.job"))))
    (FOLDER / f"{job}.job").write_text(arguments[-1], encoding="utf-8")
    subprocess.Popen(
        [sys.executable, __file__, "run", job],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    sys.stdout.write(f"Submitted batch job {job}\n")
    return 0


def run(job: str) -> int:
    """Run all tasks of a job."""
    script = Path((FOLDER / f"{job}.job").read_text(encoding="utf-8"))
    array = re.search(r"^#SBATCH --array=(\d+)-(\d+)(?:%(\d+))?", script.read_text(encoding="utf-8"), re.MULTILINE)
    first, last, limit = (int(found or 1) for found in array.groups()) if array else (0, 0, 1)
    tasks = [f"{job}_{index}" for index in range(first, last + 1)] if array else [job]
    for task in tasks:
        note(task, "PENDING")
    with ThreadPoolExecutor(limit) as pool:
        list(pool.map(lambda task: run_task(task, script), tasks))
    return 0


def run_task(task: str, script: Path) -> None:
    """Run one task as sbatch does on a node."""
    job, _, index = task.partition("_")
    known = {"SLURM_JOB_ID": job, "SLURM_JOB_NUM_NODES": "1", "SLURM_JOB_NODELIST": "localhost", "SLURM_NTASKS": "1"}
    if index:
        known |= {"SLURM_ARRAY_JOB_ID": job, "SLURM_ARRAY_TASK_ID": index}
    process = subprocess.Popen(["bash", script], env={**os.environ, **known}, start_new_session=True)
    (FOLDER / f"{task}.pid").write_text(str(process.pid), encoding="utf-8")
    note(task, "RUNNING")
    note(task, "FAILED" if process.wait() else "COMPLETED")


def srun(*arguments: str) -> int:
    """Run the command with its outputs where they were asked for."""
    job, index = os.environ["SLURM_JOB_ID"], os.environ.get("SLURM_ARRAY_TASK_ID", "0")
    options, command = {}, list(arguments)
    while command[0].startswith("--"):
        name, _, value = command.pop(0).partition("=")
        options[name] = value or ("" if command[0].startswith("--") or name == "--unbuffered" else command.pop(0))
    for mark, text in {"%A": job, "%a": index, "%j": job, "%t": "0"}.items():
        options = {name: value.replace(mark, text) for name, value in options.items()}
    known = {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}
    with Path(options["--output"]).open("a") as out, Path(options["--error"]).open("a") as err:
        return subprocess.run(command, env={**os.environ, **known}, stdout=out, stderr=err, check=False).returncode


def sacct(*arguments: str) -> int:  # noqa: ARG001
    """States of all tasks."""
    sys.stdout.write("JobID|State|NodeList\n")
    for path in sorted(FOLDER.glob("*.state")):
        sys.stdout.write(f"{path.stem}|{path.read_text(encoding='utf-8')}|localhost\n")
    return 0


def scancel(*arguments: str) -> int:
    """End a job's tasks."""
    for path in FOLDER.glob(f"{arguments[-1]}*.pid"):
        os.killpg(int(path.read_text(encoding="utf-8")), signal.SIGTERM)
    return 0


def note(task: str, state: str) -> None:
    """Replace the state of a task in one step."""
    part = FOLDER / f"{task}.{time.monotonic_ns()}"
    part.write_text(state, encoding="utf-8")
    part.replace(FOLDER / f"{task}.state")


if __name__ == "__main__":
    sys.exit(
        {"sbatch": sbatch, "run": run, "srun": srun, "sacct": sacct, "scancel": scancel}[sys.argv[1]](*sys.argv[2:])
    )
