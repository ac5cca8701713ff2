"""Reaching people: contact requests, the gate, claim and send, templates, receipts, channels.

It owns addresses, contacts, quotas, rules and templates. It must not know what a loan is: what is
still owed, who is on hold and who may get marketing it asks through `contact.ports`.
"""
