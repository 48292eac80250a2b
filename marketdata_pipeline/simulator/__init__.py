"""A real HTTP server on 127.0.0.1 that speaks providers' wire formats over bars of the past.

Not here: anything that the pipeline itself needs; clients differ from live ones by base URL only.

    history.py  recorded.py      what there is to serve
    ask.py                       a request's parameters, and what Yahoo refuses
    rows.py  meta.py  chart.py   what exists at a market instant, as Yahoo writes it
    yahoo.py  wire.py            Yahoo's routes as pure functions; answers before they are sent
    faults.py                    what can be made to go wrong while it runs
    server.py                    the server
"""
