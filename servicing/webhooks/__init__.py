"""News for partners: what happened to their customers and loans, pushed, signed, in order.

What it owns: `webhook_event` (the news that partners may see, numbered in the order in which it
became known), `webhook_endpoint` (where a partner wants it), `webhook_delivery` and
`webhook_attempt` (what became of each). What it must not know: why something happened; it only
listens to the outbox.

The way of a piece of news
    1. An operation records an event in the outbox, in its own transaction.
    2. The relay hands it to `operations.publish`, once and in order, in the transaction that marks
       it as relayed: news and its deliveries are written there, or not at all.
    3. `jobs.deliver` looks for endpoints with something due and queues `jobs.deliver_to` for each.
       That takes a lease on the endpoint, posts one delivery after the other, and notes each
       attempt. News of one customer, with all their loans, never overtakes itself: what is not
       delivered holds back what came later. News of others goes on.
    4. What fails is tried again by a ladder of minutes and hours. After three days the endpoint is
       disabled and staff are told; nothing is dropped: enabled again, it goes on where it stopped.

A receiver may get the same piece of news twice, never out of order for a customer, and can ask for
all of it again from any position.
"""
