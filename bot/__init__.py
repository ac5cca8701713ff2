"""The WeChat assistant: it understands borrowers' messages, answers them, and shows their pages.

It owns the callback /wechat, the dialogue, the binding of a WeChat account to a customer, the
pages under /h5, the menu and receipts. It must not compute money (every amount comes from a
servicing query), send anything past contact's gate, or hold tables of its own: what a dialogue
remembers lives in Redis and ends by itself.
"""
