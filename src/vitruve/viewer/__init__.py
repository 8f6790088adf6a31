"""The live viewer in a browser page, and recordings for the browser."""
