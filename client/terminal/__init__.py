"""Terminal input and output beyond prompt_toolkit.

``output`` and ``screen_output`` write to the terminal; ``combining_output`` draws vowel
signs, ``hyperlinks`` links that can be clicked; ``themes`` has the styles,
``focus_events`` reports whether the window has the focus, ``multiplexers`` handles tmux
and GNU screen.
"""
