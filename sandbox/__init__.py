"""Stand-ins of the outside world for development and tests: WeChat, WeChat Pay, an SMS provider.

A process of its own that owns the chat window, the platforms' behaviour and every way in which
they fail. It imports kernel only, no area imports it, and it refuses to start in production.
"""
