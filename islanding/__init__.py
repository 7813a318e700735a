"""islanding proves that a Kubernetes site stands on its own when its link to the AWS Region is cut."""

__version__ = "0.1.0"
