"""The kill sweep: runners and watchdogs killed at random instants, a thousand times, and nothing left behind."""
