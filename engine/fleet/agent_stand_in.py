"""What Ray's raylet starts instead of its two agents, which the fleet does not need: a process that waits for its end.

The raylet ends if an agent does. It is run as a script, without the engine: it must start fast and be small.
"""

import os
import time

if __name__ == "__main__":
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(2)
