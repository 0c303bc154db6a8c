#!/bin/sh
# Installs Trivium from this folder, without any network. ./install.sh --help lists the options.
#
# PYTHON   the interpreter to use; it must be of version @PYTHON@
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
for python in "${PYTHON:-}" python@PYTHON@ python3; do
  if [ -n "$python" ] && command -v "$python" >/dev/null 2>&1 &&
    "$python" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "@PYTHON@")'; then
    exec "$python" -I "$here/install.py" install "$here" "$@"
  fi
done
echo "install: this bundle needs Python @PYTHON@; install it, or name it: PYTHON=/path/to/python@PYTHON@ $0" >&2
exit 1
