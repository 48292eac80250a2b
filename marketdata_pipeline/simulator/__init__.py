"""A real HTTP server on 127.0.0.1 that speaks providers' wire formats over bars of the past.

Not here: anything that the pipeline itself needs; clients differ from live ones by base URL only.

    history.py  recorded.py      what there is to serve
    ask.py                       a request's parameters, and what Yahoo refuses
    rows.py  meta.py  chart.py   what exists at a market instant, as Yahoo writes it
    yahoo.py  wire.py            Yahoo's routes as pure functions; answers before they are sent
    fault.py  faults.py          what can be made to go wrong while it runs, and for whom
    on_listing.py  on_answer.py  on_rows.py    a function for each fault
    quota.py  limits.py          what is held back
    instants.py  counters.py     what was granted and refused
    server.py  pages.py          providers' routes, its own pages
    listening.py  sending.py     the socket; how answers leave, whole or broken
    posted.py                    reading what is posted
"""
