"""CloudFormation as AWS does it: what a stack says is complete is complete, and what fails is rolled back.

moto's own skips resource types and loses properties in silence (docs/measurements.md 7), so this is not built on it:
every resource is made by the API call that a user would make.
"""
