"""What neural models are, before anything runs them: settings, names and shapes of tensors, how they read text.

Shared by `neural`, which trains with torch, and `inference`, which answers with numpy; imports neither.
"""
