"""Persons' kept libraries: what was read of their footage, the consent it was read under, and the network adapted."""
