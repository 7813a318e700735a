"""The dead man's switch: a process outside the runner that undoes a site's faults when their time is up or it died."""
