"""The parts of a run, one a module: `run(contest)` measures and records."""
