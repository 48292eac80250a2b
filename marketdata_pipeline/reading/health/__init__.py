"""What is well and what is not: pure judgements over values that somebody else measured.

Not here: measuring (database, providers, orchestrator) and showing (cli.doctor).

    finding.py    what a judgement says
    given.py      settings and keys
    home.py       the home, its folders and its catalog
    machine.py    disk and memory
    outside.py    providers, the simulator, clocks
    instance.py   Dagster's instance and what it loads
"""
