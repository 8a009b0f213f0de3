"""`lmkit eval`: measures of files of answers."""
