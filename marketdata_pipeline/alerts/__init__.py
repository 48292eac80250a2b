"""Alerts: which kinds there are, when one is told, how a message reads, sending it.

Not here: which conditions hold (ingest.alerting), the rows (store.alerts).

    kinds.py      the registry: what each kind watches and what to do
    deciding.py   known alerts and present conditions -> what begins, what ends, what is told
    message.py    one message of all that is told at once
    sending.py    handing a message to the receivers, by apprise
"""
