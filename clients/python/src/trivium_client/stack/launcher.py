"""Runs in a child before the service does: ties the child to its parent, then becomes the service.

Started as a script, so that it costs no import: `python -I -S launcher.py PARENT NICENESS PROGRAM ARGUMENT...`.
Doing this here, and not between fork and exec in the parent, keeps Python code out of a forked copy of a threaded
process.
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, niceness, program, *arguments = sys.argv[1:]
    # Ctrl-C goes to the whole process group. The parent alone answers it, by stopping its children one after the other;
    # a mask outlives exec and a handler that the service installs, ignoring the signal would not.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    if sys.platform == "linux":
        import ctypes

        # The one signal that no state of the child can put off. What it stores survives that by design.
        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            sys.exit(f"launcher: prctl failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(parent):  # it died before the line above
        sys.exit(1)
    os.nice(int(niceness))
    try:
        os.execv(program, [program, *arguments])
    except OSError as error:
        sys.exit(f"launcher: cannot run {program}: {error.strerror}")


if __name__ == "__main__":
    main()
