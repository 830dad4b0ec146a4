"""A seccomp filter as container runtimes have: one system call is refused."""

import ctypes
import struct

_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_FILTER_MODE = 2
_RETURN_ALLOW = 0x7FFF0000
_RETURN_ERRNO = 0x00050000
_LOAD_WORD = 0x20
_JUMP_IF_EQUAL = 0x15
_RETURN = 0x06

# The same number on every architecture.
IO_URING_SETUP = 425


def _instruction(code, if_true, if_false, operand):
    return struct.pack("=HBBI", code, if_true, if_false, operand)


def refuse(system_call, error):
    """A preexec_fn: the program gets `error` from that system call."""
    program = b"".join(
        (
            # The system call's number is the first word of seccomp_data.
            _instruction(_LOAD_WORD, 0, 0, 0),
            _instruction(_JUMP_IF_EQUAL, 0, 1, system_call),
            _instruction(_RETURN, 0, 0, _RETURN_ERRNO | error),
            _instruction(_RETURN, 0, 0, _RETURN_ALLOW),
        )
    )
    library = ctypes.CDLL(None, use_errno=True)
    instructions = ctypes.create_string_buffer(program)

    class SockFprog(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    program = SockFprog(
        len(program) // 8, ctypes.cast(instructions, ctypes.c_void_p)
    )

    def apply():
        for arguments in (
            (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
            (_PR_SET_SECCOMP, _FILTER_MODE, ctypes.byref(program), 0, 0),
        ):
            if library.prctl(*arguments) != 0:
                raise OSError(ctypes.get_errno(), "prctl")

    return apply


