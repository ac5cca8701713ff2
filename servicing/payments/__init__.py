"""Repayments through WeChat Pay API v3: order, settlement, refund to source.

What it owns: `payment_order` (what a borrower is about to pay, and for which instalments),
`payment` (money that arrived), `refund` (money that goes back), `pay_notice` (what the platform
told us, once each), and the platform's bills with what they differ in. What it must not know: how
a borrower is told about it (bot), and how a payment is spread over a loan (servicing.operations
does that and writes the ledger).

The way of a repayment
    1. `operations.open_payment_order` closes the borrower's earlier attempt for the same loan,
       quotes under the loan's lock, writes the order (`created`), and only then calls the
       provider, outside any transaction. A crash in between leaves a row that the same key, or
       the poll, takes up again under the same out_trade_no.
    2. The page calls getBrandWCPayRequest with the signed parameters. Its answer proves nothing.
    3. The platform's notify (`views`) and our query (`jobs.query_open_orders`, from 30 s after
       opening, then ever more rarely) both end in `settlement.settle_payment`: one function, the
       loan's and the order's row locked, safe to repeat. The value date is the day of the
       platform's success time in Shanghai.
    4. What is no longer owed under the order's quote (paid on two phones, paid after closing)
       goes back to where it came from: a `refund` row, sent by `refunds.send_refund` under one
       out_refund_no until the platform has answered.
    5. What a loan owes its borrower (goods returned, beyond the cap, taken back) goes to its
       payments, the newest first (`overpaid`); what none of them can take a person sends by bank
       (`transfers`). The loan's own event is booked when the money is back. Small sums go by
       themselves; above authority.toml's limit two people agree.
    6. On the next day the platform's bill is fetched and compared with all this (`reconciling`);
       what does not agree is a `pay_difference` on the suspense account until it is dealt with.
       What was given back past us in the merchant's console is one, with a proposed booking
       (`console`). No month is closed before all of its bills are matched and its differences
       ended, or accepted with a reason (`month_end`).

States of an order: created → open → paid | closed | failed; closed and failed may still become
paid, because the platform's word about money that arrived is the truth. States of a refund:
ready → processing → succeeded | closed | abnormal. What cannot go back to a payment is manual from
the start; that, and what the platform gave up on, a person sends by bank: transferred.

Keys during the platform's change from certificates to public keys: PAY_PUBLIC_KEY holds the
public key, and platform certificates may follow it in the same text; a notify is checked against
the one that its Wechatpay-Serial names.
"""
