"""WeChat Pay API v3 for one direct merchant: orders, refunds, notifications. It moves no money."""
