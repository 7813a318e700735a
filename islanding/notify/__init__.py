"""Telling somebody how a run ended: by webhook, by mail, by SNS, when its verdict is another than the one before."""
