"""The outside world of messages, one thin client each; nothing here decides whether to send."""
