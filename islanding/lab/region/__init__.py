"""The AWS API of a lab: moto at the real host names, and what moto lacks, one file each."""
