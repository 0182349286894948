"""What the Lambda runs. docs/handler.md says what each module does and how to write an entry module."""
