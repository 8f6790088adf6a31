"""Motions for programs that draw: GLB, USD and the table EXPORTS of all that can be written."""
