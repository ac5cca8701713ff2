"""An SMS provider of Aliyun's shape: send, query, receipts. It knows no idempotency, on purpose."""
