"""What helps to see or stop the next transfer: configurations of sensors and of the service."""
