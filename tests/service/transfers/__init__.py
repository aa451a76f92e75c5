"""Tests of the whole transfer engine, against a scripted server and the daemon."""
