#!/bin/bash
# One case of a Check suite as a program of its own: case.sh PROGRAM CASE (for run.sh, which runs several at a time).
CK_RUN_CASE=$2 exec "$1"
