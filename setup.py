"""
The compiled part; everything else is in pyproject.toml.

``WEBSESSION_NO_EXTENSION=1`` leaves it out, see csrc/build_native.py for the
other switches.
"""

import os

from setuptools import setup

if os.environ.get("WEBSESSION_NO_EXTENSION", "") in ("", "0"):
    setup(cffi_modules=["csrc/build_native.py:make"])
else:
    setup()
