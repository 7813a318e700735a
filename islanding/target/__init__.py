"""Sites on a real AWS account: adopted as they are, or provisioned, and swept up afterwards."""
