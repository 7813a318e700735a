"""Evidence that a third party can check: a run's files in a bundle, a manifest of them, signature and time stamp."""
