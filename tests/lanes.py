"""``make test``: the tests in two lanes. Those that kill servers and workers take half of the time, and wait a lot."""

import subprocess
import sys
import tempfile

PYTEST = [sys.executable, "-m", "pytest", "-m"]
NEVER = "browser or bench or many"


def main() -> int:
    with tempfile.TemporaryFile() as told:
        with subprocess.Popen([*PYTEST, f"chaos and not ({NEVER})"], stdout=told, stderr=subprocess.STDOUT) as beside:
            code = subprocess.run([*PYTEST, f"not (chaos or {NEVER})"], check=False).returncode
            code = beside.wait() or code
        told.seek(0)
        sys.stdout.flush()
        sys.stdout.buffer.write(told.read())
    return code


if __name__ == "__main__":
    sys.exit(main())
