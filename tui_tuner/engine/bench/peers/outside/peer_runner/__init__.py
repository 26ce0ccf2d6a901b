"""One peer, one job: load, check, time, and write what was found. Imports nothing of tuner; imports are relative."""
