"""What is sent and streamed back."""
