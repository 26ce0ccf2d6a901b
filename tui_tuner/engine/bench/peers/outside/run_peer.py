"""Started by path with a peer's own Python, `run_peer.py JOB.json`: this folder is then the first of its path."""

import runpy

if __name__ == "__main__":
    runpy.run_module("peer_runner", run_name="__main__", alter_sys=True)
