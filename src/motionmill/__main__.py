"""`python -m motionmill`, the same as the command `motionmill`."""

import sys

from motionmill.cli import main

if __name__ == "__main__":
    sys.exit(main())
