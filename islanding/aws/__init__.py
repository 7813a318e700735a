"""AWS through boto3, the same for a lab and a live account."""
