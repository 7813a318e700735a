"""What was shown in earlier runs: kept in one SQLite file, compared, and looked through for what flips and drifts."""
