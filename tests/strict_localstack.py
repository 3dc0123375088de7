"""The S3 of LocalStack, with each conditional write decided by itself, as S3 does.

S3 lets the first of several conditional writes of a key succeed
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html). LocalStack means to, by a lock of
the key's file. But two writers who both find no file each make one, with a lock of its own, and completions of
multipart uploads take none: there, several may win. What is missing is added here.
"""

import functools
import runpy
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from localstack.services.s3.provider import S3Provider
from localstack.services.s3.storage.ephemeral import EphemeralS3ObjectStore

P = ParamSpec("P")
T = TypeVar("T")


def one_at_a_time(function: Callable[P, T]) -> Callable[P, T]:
    lock = threading.RLock()

    @functools.wraps(function)
    def locked(*arguments: P.args, **named: P.kwargs) -> T:
        with lock:
            return function(*arguments, **named)

    return locked


EphemeralS3ObjectStore.open = one_at_a_time(EphemeralS3ObjectStore.open)
S3Provider.complete_multipart_upload = one_at_a_time(S3Provider.complete_multipart_upload)

if __name__ == "__main__":
    runpy.run_module("localstack.runtime.main", run_name="__main__")
