#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# An example: a training as a job of Slurm, on the 8 GPUs of a machine. Copy it, and change what differs at your site.
#
#   sbatch tools/slurm.sh CONFIG.yaml RUN --set train.batch=16 --set train.parts=8
#   sbatch --nodes=2 tools/slurm.sh CONFIG.yaml RUN --set train.batch=64 --set train.parts=16     # 16 GPUs
#
# One process for each GPU. Their number has to divide train.parts, and does not change the result: a job may go on with a run
# that another number of GPUs began. All machines see program, CONFIG, RUN and data set at the same paths.
#
# Five minutes before the job's time is over, adele saves and ends with exit code 130, and the job goes back into the queue.
#SBATCH --job-name=adele
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=08:00:00
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

if [ $# -lt 2 ] || [ -z "${SLURM_JOB_ID:-}" ]; then
    echo "usage: sbatch tools/slurm.sh CONFIG.yaml RUN [OPTION of adele train...]" >&2
    exit 2
fi
config=$1 run=$2
shift 2

resume=()
[ -e "$run/checkpoints/last.safetensors" ] && resume=(--resume)
code=0
# --mpi: what `srun --mpi=list` has for the MPI that `adele info` names.
srun --mpi=pmix --kill-on-bad-exit=1 adele train "$config" --run "$run" "${resume[@]}" "$@" || code=$?
[ "$code" = 130 ] && scontrol requeue "$SLURM_JOB_ID"
exit "$code"
