"""The terminal: what is written to it and what it says, beyond prompt_toolkit.

``output`` and ``screen_output`` write to it; ``combining_output`` draws vowel signs,
``hyperlinks`` are links that can be clicked; ``themes`` has the styles,
``focus_events`` whether the window has the focus, ``multiplexers`` tmux and GNU screen.
"""
