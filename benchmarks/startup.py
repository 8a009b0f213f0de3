"""What starting lmkit costs, against starting Python."""

import shlex
import sys

from measure import Contestant, compare

PYTHON = shlex.quote(sys.executable)


def main() -> None:
    rows = [Contestant("python -c pass", f"{PYTHON} -c pass")]
    for arguments in ("--version", "--help", "ngram fit --help", "next --help"):
        rows.append(Contestant(f"lmkit {arguments}", f"{PYTHON} -m lmkit {arguments}"))
    rows.append(Contestant("import numpy", f"{PYTHON} -c 'import numpy'"))
    compare("start-up", rows, 9)


if __name__ == "__main__":
    main()
