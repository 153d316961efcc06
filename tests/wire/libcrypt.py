"""libcrypt: crypt(3). Python's module crypt is no more since 3.13.
"""
import ctypes

library = ctypes.PyDLL("libcrypt.so.1")  # keeps Python's lock: the result is static
library.crypt.restype = ctypes.c_char_p


def crypt(password, setting):
    hashed = library.crypt(password.encode(), setting.encode())
    if not hashed or hashed.startswith(b"*"):
        raise ValueError(f"crypt(3) refuses the setting {setting!r}")
    return hashed.decode()
