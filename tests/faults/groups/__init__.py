"""Groups A to D of fault tests, one law a test, each with its pass figure: `make faults`."""
