"""What a run has shown, derived from its journal alone: result, live view, summary, HTML report, JUnit XML."""
