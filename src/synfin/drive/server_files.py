"""A folder over HTTP: files, index pages, listings, and nothing beside.

What is served lies inside of the folder after all symbolic links are followed; a link that leads outside, like ``..``
in a path, finds nothing.  Names that begin with a dot are neither listed nor served, except ``.well-known``.  Devices
and pipes are not opened.  Files up to ``SMALL`` octets are remembered, and taken anew when size, time or inode differ.
"""
# ruff: noqa: PTH113, PTH116, PTH118
# Names are octets that need not be text, and objects for them are slow: no pathlib here.

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from datetime import UTC, datetime
from functools import lru_cache
from mimetypes import MimeTypes
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote

from synfin.http.app import (
    PAGE_HEADERS,
    Answer,
    Headers,
    Request,
    Row,
    Validators,
    condition,
    listing,
    not_allowed,
    options,
    told,
)
from synfin.http.ranges import Multipart, Part, wanted_ranges

METHODS = ("GET", "HEAD", "OPTIONS")
#: Octets of a file that is remembered, and of all that are.
SMALL, REMEMBERED = 1 << 18, 64 << 20
_MOST_ROWS = 10_000
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_SPECIAL = frozenset({"range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"})
_TYPES = MimeTypes()
for _suffix, _kind in (
    (".js", "text/javascript"), (".mjs", "text/javascript"), (".md", "text/markdown"), (".wasm", "application/wasm"),
    (".webp", "image/webp"), (".avif", "image/avif"), (".woff2", "font/woff2"), (".pcapng", "application/octet-stream"),
    (".log", "text/plain"), (".yaml", "text/yaml"), (".yml", "text/yaml"), (".toml", "text/plain"),
    (".rs", "text/plain"), (".go", "text/plain"), (".py", "text/plain"), (".sh", "text/plain"), (".pem", "text/plain"),
):  # fmt: skip
    _TYPES.add_type(_kind, _suffix)


def content_type(name: str) -> str:
    """The media type for a file name, with UTF-8 said for text."""
    kind, coding = _TYPES.guess_type(name)
    if coding is not None or kind is None:
        return "application/octet-stream"
    text = kind.startswith("text/") or kind in ("application/json", "application/xml", "image/svg+xml")
    return f"{kind}; charset=utf-8" if text else kind


class FilePart:
    """Octets of an open file, from ``start``; ``size`` of them."""

    __slots__ = ("_fd", "_start", "size")

    def __init__(self, fd: int, start: int, size: int) -> None:
        self._fd = fd
        self._start = start
        self.size = size

    def part(self, first: int, after: int) -> FilePart:
        """The octets from ``first`` to before ``after``; the file goes with them."""
        fd, self._fd = self._fd, -1
        return FilePart(fd, self._start + first, after - first)

    def read(self, at: int, count: int) -> bytes:
        """See ``Body``; a file that cannot be read any more gives nothing."""
        try:
            return os.pread(self._fd, count, self._start + at)
        except OSError:
            return b""

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()


class Files:
    """Answers requests from ``root``."""

    bodies = False

    def __init__(self, root: Path) -> None:
        self.root = os.path.realpath(root)
        self._inside = self.root.rstrip("/") + "/"
        self._known: OrderedDict[str, tuple[tuple[int, ...], Answer]] = OrderedDict()
        self._octets = 0
        self._local = lru_cache(maxsize=256)(self._named)

    def __call__(self, request: Request) -> Answer:
        """The answer; never raises for what is asked."""
        if request.method == "OPTIONS":
            return options(METHODS)
        if request.method not in METHODS:
            return not_allowed(request, METHODS)
        local = self._local(request.path)
        if local is None:
            return told(404)
        try:
            known = self._known.get(local)
            if known is not None and _SPECIAL.isdisjoint([name for name, _ in request.headers]):
                if known[0] == _mark(os.stat(local)):
                    return known[1]
                self._forget(local)
            return self._find(request, local)
        except (FileNotFoundError, NotADirectoryError):
            return told(404)
        except PermissionError:
            return told(403, "The server may not read it.")
        except OSError as error:
            if error.errno in _EXHAUSTED:
                return told(503, "The server has too many files open.", close=True)
            return told(404)  # names too long, links in circles
        except ValueError:  # octets no name has
            return told(404)

    def _named(self, path: str) -> str | None:
        """The file's name for a request's path, or None where there can be none."""
        if not path.startswith("/") or "\0" in path:
            return None
        for part in path.split("/"):
            if part.startswith(".") and part != ".well-known" and part != ".":
                return None
        return self.root + os.fsdecode(path.encode("latin-1"))

    def _find(self, request: Request, local: str) -> Answer:
        real = os.path.realpath(local, strict=True)
        if real != self.root and not real.startswith(self._inside):
            return told(404)
        found = os.stat(real)
        if stat.S_ISDIR(found.st_mode):
            return self._folder(request, real)
        if not stat.S_ISREG(found.st_mode) or request.path.endswith("/"):
            return told(404)
        return self._file(request, real, local)

    def _file(self, request: Request, real: str, local: str) -> Answer:
        fd = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        body = FilePart(fd, 0, 0)
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            return told(404)
        size = body.size = found.st_size
        now = Validators(f'"{found.st_mtime_ns:x}-{size:x}"', int(found.st_mtime))
        headers: Headers = (
            ("content-type", content_type(real)),
            *now.headers,
            ("accept-ranges", "bytes"),
            ("x-content-type-options", "nosniff"),
        )
        status = condition(request, now)
        if status != 200:
            return told(412) if status == 412 else Answer(304, now.headers)
        parts = wanted_ranges(request, now, size)
        if parts is not None:
            return _partial(body, parts, headers)
        if size > SMALL:
            return Answer(200, headers, body)
        data = body.read(0, size)
        if len(data) != size:
            return told(503, "The file changed while it was read.")
        answer = Answer(200, headers, data)
        self._remember(local, _mark(found), answer)
        return answer

    def _remember(self, local: str, mark: tuple[int, ...], answer: Answer) -> None:
        self._forget(local)
        self._known[local] = mark, answer
        self._octets += answer.size + 1024
        while self._octets > REMEMBERED:
            self._forget(next(iter(self._known)))

    def _forget(self, local: str) -> None:
        old = self._known.pop(local, None)
        if old is not None:
            self._octets -= old[1].size + 1024

    def _folder(self, request: Request, real: str) -> Answer:
        if not request.path.endswith("/"):
            last = quote(request.path.rsplit("/", 1)[-1].encode("latin-1"))
            query = f"?{request.query}" if request.query else ""
            return told(301, "A folder's address ends with a slash.", (("location", f"{last}/{query}"),))
        index = os.path.join(real, "index.html")
        if os.path.isfile(index):
            whole = os.path.realpath(index)
            if whole.startswith(self._inside):
                return self._file(request, whole, index)
        rows = []
        if real != self.root:
            rows.append(Row("../", "../", None, ""))
        with os.scandir(real) as entries:
            found = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
        rows += [row for entry in found[:_MOST_ROWS] if (row := self._row(entry)) is not None]
        rows.sort(key=lambda row: row.size is not None)
        if len(found) > _MOST_ROWS:
            rows.append(Row(f"... and {len(found) - _MOST_ROWS:,} more, not listed", "./", None, ""))
        return Answer(200, PAGE_HEADERS, listing(request.path.encode("latin-1").decode("utf-8", "replace"), rows))

    def _row(self, entry: os.DirEntry[str]) -> Row | None:
        try:
            if entry.is_symlink():
                real = os.path.realpath(entry.path)
                if real != self.root and not real.startswith(self._inside):
                    return None
            seen = entry.stat()
        except OSError:
            return None
        folder = stat.S_ISDIR(seen.st_mode)
        if not folder and not stat.S_ISREG(seen.st_mode):
            return None
        slash = "/" if folder else ""
        name = os.fsencode(entry.name)
        changed = datetime.fromtimestamp(seen.st_mtime, UTC).strftime("%Y-%m-%d %H:%M")
        link = "./" + quote(name) + slash
        return Row(name.decode("utf-8", "replace") + slash, link, None if folder else seen.st_size, changed)


def _partial(whole: FilePart, parts: tuple[Part, ...], headers: Headers) -> Answer:
    """206 with one part or several, 416 with none (RFC 9110 15.3.7, 15.5.17)."""
    size = whole.size
    if not parts:
        whole.close()
        return told(416, f"The file has {size} octets.", (("content-range", f"bytes */{size}"),))
    if len(parts) > 1:
        boundary = token_hex(12)
        body = Multipart(whole, parts, dict(headers)["content-type"], boundary)
        kind = ("content-type", f"multipart/byteranges; boundary={boundary}")
        return Answer(206, (kind, *(field for field in headers if field[0] != "content-type")), body)
    ((first, after),) = parts
    return Answer(206, (*headers, ("content-range", f"bytes {first}-{after - 1}/{size}")), whole.part(first, after))


def _mark(found: os.stat_result) -> tuple[int, ...]:
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev, found.st_mode
