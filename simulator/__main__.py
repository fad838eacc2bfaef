"""Run the simulator from the command line: ``python -m simulator --port 8765``."""

from simulator.server import main

if __name__ == "__main__":
    raise SystemExit(main())
