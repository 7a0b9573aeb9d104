"""S3 as a Hadoop file system: a small WebHDFS server on 127.0.0.1 that keeps nothing but directories.

Spark's own jars know WebHDFS, so a Glue job reads and writes `s3://bucket/key` in place: what it
wrote is in the bucket when the file is closed, and a call by boto3 in the same job sees it.

Like Glue's own committer, files under `_temporary` (and Spark's staging folders) stay aside on disk
until they are renamed: the bucket, and whoever listens to it, sees finished objects only. S3 has no
directories; the empty ones that a job makes are remembered for as long as the server lives.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from botocore.exceptions import ClientError

ROOT = "/webhdfs/v1"
BLOCK = 128 * 1024 * 1024
CHUNK = 1024 * 1024


class NotThere(Exception):
    """No object and no directory has that path."""


class Exists(Exception):
    """The path is taken, and the call does not overwrite."""


def _status(name: str, *, directory: bool, length: int = 0, modified: float = 0.0) -> dict:
    return {
        "pathSuffix": name,
        "type": "DIRECTORY" if directory else "FILE",
        "length": length,
        "modificationTime": int(modified * 1000),
        "accessTime": 0,
        "blockSize": 0 if directory else BLOCK,
        "replication": 0 if directory else 1,
        "permission": "755" if directory else "644",
        "owner": "glue",
        "group": "glue",
        "childrenNum": 0,
        "fileId": 0,
        "storagePolicy": 0,
    }


class Files:
    """The file system: paths are `/bucket/key`."""

    def __init__(self, s3, aside: Path):
        self._s3 = s3
        self._aside = aside
        self._made: set[str] = set()  # directories made and still empty in S3
        self._lock = threading.Lock()

    # Paths

    def _disk(self, path: str) -> Path | None:
        """Where `path` lies while it is unfinished, or None for what is in S3."""
        parts = path.strip("/").split("/")
        if any(p == ".." for p in parts):
            raise NotThere(path)
        if any(p == "_temporary" or p.startswith(".spark-staging") for p in parts):
            return self._aside.joinpath(*parts)
        return None

    @staticmethod
    def _split(path: str) -> tuple[str, str]:
        bucket, _, key = path.strip("/").partition("/")
        return bucket, key

    # Reading

    def status(self, path: str, name: str = "") -> dict:
        if disk := self._disk(path):
            if not disk.exists():
                raise NotThere(path)
            found = disk.stat()
            return _status(
                name, directory=disk.is_dir(), length=found.st_size, modified=found.st_mtime
            )
        bucket, key = self._split(path)
        if key:
            try:
                head = self._s3.head_object(Bucket=bucket, Key=key)
                modified = head["LastModified"].timestamp()
                return _status(
                    name, directory=False, length=head["ContentLength"], modified=modified
                )
            except ClientError as why:
                if why.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                    raise
        if path.strip("/") in self._made or self._has_children(bucket, key):
            return _status(name, directory=True)
        raise NotThere(path)

    def _has_children(self, bucket: str, key: str) -> bool:
        prefix = f"{key}/" if key else ""
        try:
            found = self._s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
        except self._s3.exceptions.NoSuchBucket:
            return False
        return not key or found.get("KeyCount", 0) > 0

    def list(self, path: str) -> list[dict]:
        own = self.status(path)
        if own["type"] == "FILE":
            return [own]
        if disk := self._disk(path):
            return [self.status(f"{path}/{p.name}", p.name) for p in sorted(disk.iterdir())]
        bucket, key = self._split(path)
        prefix = f"{key}/" if key else ""
        found: dict[str, dict] = {}
        pages = self._s3.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=bucket, Prefix=prefix, Delimiter="/"):
            for common in page.get("CommonPrefixes", []):
                name = common["Prefix"][len(prefix) :].rstrip("/")
                found[name] = _status(name, directory=True)
            for item in page.get("Contents", []):
                name = item["Key"][len(prefix) :]
                if name:
                    found[name] = _status(
                        name,
                        directory=False,
                        length=item["Size"],
                        modified=item["LastModified"].timestamp(),
                    )
        inside = path.strip("/") + "/"
        with self._lock:
            made = list(self._made)
        for directory in made:
            if directory.startswith(inside):
                name = directory[len(inside) :].split("/")[0]
                found.setdefault(name, _status(name, directory=True))
        aside = self._aside.joinpath(*path.strip("/").split("/"))
        if aside.is_dir():
            for below in aside.iterdir():
                if self._disk(f"{path}/{below.name}"):
                    found.setdefault(below.name, _status(below.name, directory=True))
        return [found[name] for name in sorted(found)]

    def open(self, path: str, offset: int, length: int | None):
        """The bytes from `offset` as (count, file-like)."""
        own = self.status(path)
        if own["type"] != "FILE":
            raise NotThere(path)
        size = max(0, own["length"] - offset)
        count = size if length is None else min(size, length)
        if disk := self._disk(path):
            stream = disk.open("rb")
            stream.seek(offset)
            return count, stream
        if count == 0:
            return 0, io.BytesIO()
        bucket, key = self._split(path)
        window = f"bytes={offset}-{offset + count - 1}"
        return count, self._s3.get_object(Bucket=bucket, Key=key, Range=window)["Body"]

    # Writing

    def create(self, path: str, body, overwrite: bool) -> None:
        if not overwrite:
            with contextlib.suppress(NotThere):
                self.status(path)
                raise Exists(path)
        if disk := self._disk(path):
            disk.parent.mkdir(parents=True, exist_ok=True)
            with disk.open("wb") as out:
                shutil.copyfileobj(body, out, CHUNK)
            return
        bucket, key = self._split(path)
        self._s3.upload_fileobj(body, bucket, key)
        self._forget_parents(path)

    def mkdirs(self, path: str) -> None:
        if disk := self._disk(path):
            disk.mkdir(parents=True, exist_ok=True)
            return
        with self._lock:
            self._made.add(path.strip("/"))

    def _forget_parents(self, path: str) -> None:
        """An object under a directory is what makes it one: no need to remember it."""
        with self._lock:
            path = path.strip("/")
            self._made = {d for d in self._made if not path.startswith(d + "/")}

    def rename(self, source: str, target: str) -> bool:
        try:
            own = self.status(source)
        except NotThere:
            return False
        with contextlib.suppress(NotThere):
            if self.status(target)["type"] == "FILE":
                return False
            target = f"{target.rstrip('/')}/{source.rstrip('/').rsplit('/', 1)[-1]}"
        from_disk, to_disk = self._disk(source), self._disk(target)
        if from_disk and to_disk:
            to_disk.parent.mkdir(parents=True, exist_ok=True)
            from_disk.rename(to_disk)
            return True
        if own["type"] == "DIRECTORY":
            self.mkdirs(target)
            for child in self.list(source):
                name = child["pathSuffix"]
                self.rename(f"{source}/{name}", f"{target}/{name}")
        else:
            _, stream = self.open(source, 0, None)
            with contextlib.closing(stream):
                self.create(target, stream, overwrite=True)
        self.delete(source)
        return True

    def delete(self, path: str) -> bool:
        if disk := self._disk(path):
            if not disk.exists():
                return False
            shutil.rmtree(disk) if disk.is_dir() else disk.unlink()
            return True
        bucket, key = self._split(path)
        name = path.strip("/")
        with self._lock:
            known = {d for d in self._made if d == name or d.startswith(name + "/")}
            self._made -= known
        aside = self._aside.joinpath(*name.split("/"))
        if aside.is_dir():
            shutil.rmtree(aside)
        keys = [] if self._is_directory_only(bucket, key) else [key]
        for page in self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=f"{key}/" if key else ""
        ):
            keys += [item["Key"] for item in page.get("Contents", [])]
        for at in range(0, len(keys), 1000):
            batch = [{"Key": k} for k in keys[at : at + 1000]]
            self._s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        return bool(keys or known)

    def _is_directory_only(self, bucket: str, key: str) -> bool:
        if not key:
            return True
        try:
            self._s3.head_object(Bucket=bucket, Key=key)
        except ClientError:
            return True
        return False


class _Chunks:
    """A request's body as a file, whether it has a length or comes in chunks."""

    def __init__(self, headers, stream):
        self._stream = stream
        self._chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
        self._left = 0 if self._chunked else int(headers.get("Content-Length") or 0)
        self._over = False

    def read(self, size: int = -1) -> bytes:
        out = bytearray()
        while size < 0 or len(out) < size:
            if self._left == 0 and not self._next_chunk():
                break
            want = self._left if size < 0 else min(self._left, size - len(out))
            piece = self._stream.read(want)
            if not piece:
                raise ConnectionError("the body ended early")
            self._left -= len(piece)
            out += piece
            if self._chunked and self._left == 0:
                self._stream.readline()
        return bytes(out)

    def _next_chunk(self) -> bool:
        if not self._chunked or self._over:
            return False
        self._left = int(self._stream.readline().split(b";")[0], 16)
        if self._left == 0:
            self._stream.readline()
            self._over = True
        return not self._over


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: Files

    def log_message(self, *_):
        """Nothing: a request names keys, and keys can hold data."""

    def setup(self):
        super().setup()
        self.connection.setsockopt(6, 1, 1)  # TCP_NODELAY: answers are small

    def _answer(self, code: int, body: dict | None = None, headers: dict | None = None):
        data = json.dumps(body).encode() if body is not None else b""
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, code: int, kind: str, message: str):
        name = kind.rsplit(".", 1)[-1]
        error = {"exception": name, "javaClassName": kind, "message": message}
        self._answer(code, {"RemoteException": error})

    def _handle(self):
        url = urlsplit(self.path)
        query = {k.lower(): v[-1] for k, v in parse_qs(url.query, keep_blank_values=True).items()}
        path = "/" + unquote(url.path.removeprefix(ROOT)).strip("/")
        op = query.get("op", "").upper()
        body = _Chunks(self.headers, self.rfile)
        try:
            call = getattr(self, f"_op_{op.lower()}", None)
            if call is None:
                body.read()
                kind = "java.lang.UnsupportedOperationException"
                self._refuse(400, kind, f"{op} is not supported on s3:// locally")
            else:
                call(path, query, body)
        except NotThere as why:
            self._refuse(404, "java.io.FileNotFoundException", f"File does not exist: {why}")
        except Exists as why:
            kind = "org.apache.hadoop.fs.FileAlreadyExistsException"
            self._refuse(403, kind, f"{why} already exists")
        except ClientError as why:
            code = why.response["ResponseMetadata"]["HTTPStatusCode"]
            denied = "org.apache.hadoop.security.AccessControlException"
            kind = denied if code == 403 else "java.io.IOException"
            self._refuse(403 if code == 403 else 500, kind, f"{path}: {why}")
        except ConnectionError:
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = _handle

    def _op_getfilestatus(self, path, _query, _body):
        self._answer(200, {"FileStatus": self.files.status(path)})

    def _op_liststatus(self, path, _query, _body):
        self._answer(200, {"FileStatuses": {"FileStatus": self.files.list(path)}})

    def _op_open(self, path, query, _body):
        length = int(query["length"]) if query.get("length", "null") != "null" else None
        count, stream = self.files.open(path, int(query.get("offset", 0)), length)
        with contextlib.closing(stream):
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(count))
            self.end_headers()
            while count > 0 and (piece := stream.read(min(CHUNK, count))):
                self.wfile.write(piece)
                count -= len(piece)

    def _op_create(self, path, query, body):
        if "data" not in query:  # the first of the two steps: where to send the bytes
            body.read()
            host, port = self.server.server_address
            keep = f"overwrite={query.get('overwrite', 'true')}"
            where = f"http://{host}:{port}{ROOT}{quote(path)}?op=CREATE&data=true&{keep}"
            self._answer(307, headers={"Location": where})
            return
        with tempfile.SpooledTemporaryFile(max_size=8 * CHUNK) as whole:
            shutil.copyfileobj(body, whole, CHUNK)
            whole.seek(0)
            self.files.create(path, whole, query.get("overwrite", "true") == "true")
        self._answer(201)

    def _op_mkdirs(self, path, _query, body):
        body.read()
        self.files.mkdirs(path)
        self._answer(200, {"boolean": True})

    def _op_rename(self, path, query, body):
        body.read()
        target = "/" + unquote(query["destination"]).strip("/")
        self._answer(200, {"boolean": self.files.rename(path, target)})

    def _op_delete(self, path, _query, _body):
        self._answer(200, {"boolean": self.files.delete(path)})

    def _op_gethomedirectory(self, _path, _query, _body):
        self._answer(200, {"Path": "/"})

    def _op_get_block_locations(self, path, _query, _body):
        """One block that is nowhere in particular: Spark only asks where to send its work."""
        length = self.files.status(path)["length"]
        block = {
            "block": {"blockId": 1, "blockPoolId": "s3", "generationStamp": 1, "numBytes": length},
            "blockToken": {"urlString": "AAAAAA"},
            "isCorrupt": False,
            "startOffset": 0,
            "locations": [],
            "cachedLocations": [],
        }
        blocks = {
            "fileLength": length,
            "isUnderConstruction": False,
            "isLastBlockComplete": True,
            "lastLocatedBlock": None,
            "locatedBlocks": [block],
        }
        self._answer(200, {"LocatedBlocks": blocks})

    def _op_nothing(self, _path, _query, body):
        """Modes and times mean nothing in S3."""
        body.read()
        self._answer(200)

    _op_setpermission = _op_settimes = _op_setowner = _op_setreplication = _op_nothing


@contextlib.contextmanager
def serve(s3, aside: Path):
    """Serves S3 as WebHDFS while the context is open; gives `127.0.0.1:port`."""
    handler = type("Handler", (_Handler,), {"files": Files(s3, aside)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True, name="s3-files")
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
