"""The official account's platform: tokens, messages, menu, users, OAuth. It pushes nothing."""
