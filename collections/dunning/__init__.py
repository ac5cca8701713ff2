"""Post-loan work: whom to remind or collect from, when, over which channel, and when to stop.

It plans from strategies; the loan book is servicing's, and whether a contact may go out is decided
by contact's gate. It must not know how an application is judged or how a message is delivered.
"""
