"""Real parts on one Linux machine: sites that come up in seconds and leave nothing behind."""
