#!/usr/bin/python3
"""The side of the suite that is inside the sandbox: `probe.py ID CONTEXT` makes one attempt, `probe.py --list` names all."""
import json
import sys

import frame
import controls  # noqa: F401  (each adds its probes, in the order of the table)
import files  # noqa: F401
import network  # noqa: F401
import processes  # noqa: F401
import kernel  # noqa: F401
import surroundings  # noqa: F401

if frame.ID == "--list":
    print(json.dumps({name: title for name, (title, _) in frame.P.items()}))
    sys.exit()
try:
    frame.P[frame.ID][1]()
except SystemExit:
    raise
except OSError as e:
    frame.den("setup " + frame.en(e.errno))
except BaseException as e:
    frame.out("NA", "probe error " + repr(e))
