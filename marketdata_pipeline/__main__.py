"""`python -m marketdata_pipeline` is `marketdata`."""

from marketdata_pipeline.cli.app import main

main()
