#!/usr/bin/python3
"""The side of the suite that is inside the sandbox: `probe.py ID CONTEXT` makes one attempt, `probe.py --list` names all.

`probe.py ID,ID,... CONTEXT` makes several one after the other, each in a process of its own with its name written before it:
where starting Python is what takes the time."""
import json
import os
import signal
import sys

import frame
import controls  # noqa: F401  (each adds its probes, in the order of the table)
import files  # noqa: F401
import network  # noqa: F401
import processes  # noqa: F401
import kernel  # noqa: F401
import surroundings  # noqa: F401

# Seconds that one of several may take; who needs more has to be tried alone.
PATIENCE = 8


def attempt(name):
    try:
        frame.P[name][1]()
    except SystemExit:
        raise
    except OSError as e:
        frame.den("setup " + frame.en(e.errno))
    except BaseException as e:
        frame.out("NA", "probe error " + repr(e))


def several(names):
    for name in names:
        sys.stdout.write(f"\n@@ID {name}\n")
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            signal.alarm(PATIENCE)
            attempt(name)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"\n@@END {os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if frame.ID == "--list":
    print(json.dumps({name: title for name, (title, _) in frame.P.items()}))
    sys.exit()
if "," in frame.ID:
    several(frame.ID.split(","))
else:
    attempt(frame.ID)
