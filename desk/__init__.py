"""The staff workplace: identity, roles, approvals by a second person, versioned documents, audit.

It owns the page shell and the registries by which areas plug in their pages, panels and acts. It
must not know a customer, a loan or a contact: what it shows of them is rendered by those areas.
"""
