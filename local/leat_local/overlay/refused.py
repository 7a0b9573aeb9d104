"""An error as a service words it."""


class Refused(Exception):
    """What a call answers instead of its result: a code, a message, an HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400, **more):
        super().__init__(message)
        self.code, self.status, self.body = code, status, {"Message": message, **more}
