"""Tests of the transfer engine as a whole, against a scripted server and the daemon."""
