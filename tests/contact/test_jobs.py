from typing import Any

import contact.jobs
from kernel.jobs import SEND_QUEUE


class TestSend:
    def test_sends_all_that_is_ready_answers_first(self, desk: Any) -> None:
        desk.customers(250)
        desk.plan(range(1, 251))
        contact_id = desk.answer("otp:1")
        contact.jobs.send(desk.runtime, contact_id=contact_id)
        assert desk.states() == {"sent": 251}
        first = [sent["TemplateCode"] for sent in desk.providers.sms[:80]]
        assert "SMS_300000001" in first


class TestJobs:
    def test_find_out_about_lost_messages(self, desk: Any) -> None:
        desk.answer("otp:1")
        desk.providers.script["SendSms"] = ["hang"]
        contact.jobs.send(desk.runtime)
        contact.jobs.recover(desk.runtime)
        contact.jobs.resolve_unknown(desk.runtime)
        assert desk.states() == {"sent": 1}

    def test_run_on_the_senders_queue(self) -> None:
        jobs = (contact.jobs.send, contact.jobs.recover, contact.jobs.resolve_unknown)
        assert {job.queue for job in jobs} == {SEND_QUEUE}
