"""The server of one model. It runs in the sandbox, beside code that nobody trusts, as a program of its own: it imports
nothing of the bot, because only this folder is bound into the sandbox.
"""
