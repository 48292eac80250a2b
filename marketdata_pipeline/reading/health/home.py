"""Whether the home, its folders and its catalog are well, and whether somebody is in the way.

Not here: looking at them (database).
"""

from datetime import timedelta
from pathlib import Path

from marketdata_pipeline.database.examine import CatalogState
from marketdata_pipeline.database.home import Home
from marketdata_pipeline.database.locks import FileState
from marketdata_pipeline.database.machine import Folder
from marketdata_pipeline.database.metadata import REVISIONS
from marketdata_pipeline.database.sessions import ServerState
from marketdata_pipeline.reading.health.finding import Finding, note, well, wrong
from marketdata_pipeline.reading.health.machine import size

_HOME, _CATALOG, _LOCKS = "home", "catalog", "locks"
_OTHERS, _OTHERS_WRITE = 0o077, 0o022
_SLOW = timedelta(milliseconds=100)
_PATIENCE = timedelta(seconds=10)
"""As long as a writer of ours waits for a lock (engine.LOCK_SECONDS)."""
_IDLE = timedelta(minutes=1)
_LARGE_LOG = 100 * 10**6
"""SQLite empties its log at 4 MB unless a reader keeps it from that."""
_OLDEST_SERVER = 14
_SHOWN = 3
_NETWORKED = frozenset(
    {
        *("afs", "afpfs", "beegfs", "ceph", "cifs", "davfs", "fuse.ceph", "fuse.davfs"),
        *("fuse.gcsfuse", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "gfs2"),
        *("glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "smb2", "smb3", "smbfs"),
    }
)
"""File systems that several machines see (https://www.sqlite.org/wal.html: "WAL does not work over
a network filesystem", since its index is memory that processes of one machine share)."""
_LENT = frozenset({"9p", "fakeowner", "prl_fs", "vboxsf", "virtiofs", "vmhgfs", "fuse.vmhgfs-fuse"})
"""File systems that a host lends to a virtual machine or a container."""


def no_home(folder: Folder) -> Finding:
    """No home in a folder."""
    return wrong(_HOME, f"none at {folder.path}", "marketdata init, or name another with --home")


def judge_home(home: Home, folder: Folder) -> Finding:
    """What the home is, and whether it is its owner's alone."""
    of = f" of {home.history} bars" if home.history else ""
    told = f"{home.mode} home{of} at {home.folder}"
    mode = folder.mode or 0
    advice = f"chmod 700 {home.folder}"
    if mode & _OTHERS_WRITE:
        return wrong(_HOME, f"{told}, which others may change ({mode:o})", advice)
    if mode & _OTHERS:
        return note(_HOME, f"{told}, which others may read ({mode:o})", advice)
    return well(_HOME, told)


def judge_folders(*folders: Folder) -> list[Finding]:
    """Whether files can be made in each; one finding where all are well."""
    shut = [one for one in folders if one.trouble]
    if not shut:
        names = ", ".join(one.path.name for one in folders)
        return [well("folders", f"{names} can be written")]
    return [
        wrong("folders", f"no file can be made in {one.path}: {one.trouble}", _advice(one))
        for one in shut
    ]


def foreign_bars(folder: Path) -> Finding:
    """The files in the folder of bars are another catalog's."""
    told = f"the bars in {folder} belong to another catalog: nothing is written there"
    advice = "correct MARKETDATA_DATABASE_URL, or set MARKETDATA_HOME to a folder of its own"
    return wrong("folders", told, advice)


def _advice(folder: Folder) -> str:
    if folder.mode is None:
        return "marketdata init makes it anew"
    return "give this user the right to write there; look at the disk"


def judge_catalog(state: CatalogState) -> Finding:
    """Whether the catalog answers, fast enough, with the tables of this code."""
    if state.trouble:
        hint = "is the server up, and the password right?" if state.server else "docs/recover.md"
        return wrong(_CATALOG, state.trouble, hint)
    if state.revision is None:
        return wrong(_CATALOG, f"{state.where} is empty", "marketdata init")
    if state.revision not in REVISIONS:
        told = f"{state.where} was written by a newer version ({state.revision})"
        return wrong(_CATALOG, told, "update marketdata-pipeline")
    if state.revision != REVISIONS[-1]:
        told = f"{state.where} was written by an older version ({state.revision})"
        return wrong(_CATALOG, told, "marketdata init upgrades it")
    trip = f"{1000 * state.trip.total_seconds():.1f} ms"
    told = f"{state.where}, revision {state.revision}, answers in {trip}"
    if state.trip > _SLOW:
        return note(_CATALOG, f"{told}: each update waits for it often", "move it nearer")
    return well(_CATALOG, told)


def judge_file(state: FileState, kind: str | None) -> list[Finding]:
    """Whether a catalog in SQLite can be written, and is where it may be.

    ``kind`` is the type of its file system; None: the system does not tell.
    """
    findings = [_write_lock(state)]
    if state.log > _LARGE_LOG:
        told = f"the log of {state.path.name} has {size(state.log)}: a reader that never ends?"
        findings.append(note(_LOCKS, told, _open_in(state) or "end programs that keep it open"))
    advice = "move the home to a local disk, or use Postgres (docs/operate.md)"
    if kind in _NETWORKED:
        told = f"{state.path} lies on {kind}, where SQLite's locks do not hold: bars can be lost"
        findings.append(wrong("file system", told, advice))
    if kind in _LENT:
        told = f"{state.path} lies on {kind}, a host's folder: its locks do not hold on every host"
        findings.append(note("file system", told, advice))
    return findings


def _write_lock(state: FileState) -> Finding:
    where = _open_in(state)
    if state.waited is not None:
        return well(_LOCKS, f"the write lock is free; {where or 'no other process has it open'}")
    told = f"the write lock of {state.path.name} was not to be had within a second"
    if state.holder is not None:
        return wrong(
            _LOCKS, f"{told}: {state.holder} holds it", f"wait, or end process {state.holder.pid}"
        )
    return wrong(_LOCKS, f"{told}; {where}" if where else told, "wait, or end who holds it")


def _open_in(state: FileState) -> str:
    if not state.others:
        return ""
    more = len(state.others) - _SHOWN
    told = ", ".join(str(one) for one in state.others[:_SHOWN])
    return f"open in {told}" + (f" and {more} more" if more > 0 else "")


def judge_server(state: ServerState) -> list[Finding]:
    """Whether a Postgres server is new enough, writable, and nobody is in the way."""
    major = state.version // 10_000
    findings = []
    if major < _OLDEST_SERVER:
        told = f"the server is Postgres {major}; nothing older than {_OLDEST_SERVER} is tested"
        findings.append(wrong("server", told, "upgrade it"))
    if state.read_only:
        told = "the server takes no writes: it is a standby, or set to read-only"
        findings.append(wrong("server", told, "name the primary in MARKETDATA_DATABASE_URL"))
    if state.blocked:
        findings.append(_blocked(state))
    long = [one for one in state.idle if one.since > _IDLE]
    if long:
        told = f"{_who(len(long))} in a transaction for more than a minute, the longest {long[0]}"
        advice = f"end its program, or SELECT pg_terminate_backend({long[0].pid})"
        findings.append(note(_LOCKS, f"{told} for {_minutes(long[0].since)}", advice))
    if not findings:
        findings.append(well(_LOCKS, f"Postgres {major}: no session waits, none idles in the way"))
    return findings


def _blocked(state: ServerState) -> Finding:
    """One that waits for a moment is nothing; our writers give up after ten seconds."""
    longest = state.blocked[0]
    many = len(state.blocked)
    told = (
        f"{'a session waits' if many == 1 else f'{many} sessions wait'} for a lock, {longest} for "
        f"{longest.since.total_seconds():,.0f} s behind {', '.join(map(str, longest.blockers))}"
    )
    if longest.since <= _PATIENCE:
        return note(_LOCKS, told, "look again in a moment")
    advice = f"end that program, or SELECT pg_terminate_backend({longest.blockers[0]})"
    return wrong(_LOCKS, f"{told}: writers give up after 10 s", advice)


def _who(count: int) -> str:
    return "a session idles" if count == 1 else f"{count} sessions idle"


def _minutes(time: timedelta) -> str:
    return f"{time // timedelta(minutes=1):,} min"
