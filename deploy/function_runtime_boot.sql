-- Deploy hartonomous:function_runtime_boot to pg
-- requires: schema_llm_runtime, function_runtime_site_packages

-- Every PL/Python function of schema llm has two lines: the first calls boot() once a session, the second calls a
-- module. See docs/adr/0002-runtime-in-function-bodies.md.
-- A session that finds a module's file deleted calls it again, to write the files: plpython/server/module_files.py.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_runtime.boot()
RETURNS text
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $python$
import contextlib
import glob
import hashlib
import importlib.util
import marshal
import os
import shutil
import signal
import stat
import sys
import time

KEEP_DAYS = 30
PACKAGES_HINT = (
    "Install the server's packages for this Python (docs/operations.md), or as a superuser name the folder that has "
    "them: CREATE OR REPLACE FUNCTION llm_runtime.site_packages() RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE "
    "RETURN '/folder'::text. Then open a new connection."
)


def refuse(message, detail=None, hint=None):
    plpy.error(message, detail=detail, hint=hint, sqlstate='55000')


def modules():
    """The sources by name. A function that a superuser does not own is no module, and neither is one that returns."""
    rows = plpy.execute('''
        SELECT p.proname, p.prosrc
        FROM pg_proc AS p
        INNER JOIN pg_language AS l ON l.oid = p.prolang
        INNER JOIN pg_roles AS r ON r.oid = p.proowner
        WHERE p.pronamespace = 'llm_runtime'::regnamespace AND l.lanname = 'plpython3u'
            AND p.prorettype = 'void'::regtype AND p.pronargs = 0 AND r.rolsuper
        ORDER BY p.proname COLLATE "C"''')
    return {row['proname']: row['prosrc'].encode() for row in rows}


def digest(sources):
    """The hash that tools/render.py calls the release."""
    lines = (f'{hashlib.sha256(source).hexdigest()}  {name}\n' for name, source in sources.items())
    return hashlib.sha256(''.join(lines).encode()).hexdigest()


def private_folder(path):
    """Make the folder unless it is there, and be sure that nobody but the server can enter it."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    state = os.lstat(path)
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or stat.S_IMODE(state.st_mode) != 0o700:
        refuse(f'"{path}" is not a folder that only the server can enter', 'Its owner must be the account of the '
               'server, its mode 0700.', 'Remove it; it is made again when it is needed.')
    return path


def holds(path, content):
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), 'rb') as file:
            return file.read() == content
    except OSError:
        return False


def replace(path, content):
    """Write beside and rename: a reader never sees half of a file, and writers may race."""
    beside = f'{path}.{os.getpid()}'
    with open(beside, 'wb') as file:
        file.write(content)
    os.replace(beside, path)


def place(path, source):
    """Bring a module's file and its compiled form to this source; tells whether the file was not."""
    changed = not holds(path, source)
    if changed:
        replace(path, source)
    compiled = importlib.util.cache_from_source(path)
    private_folder(os.path.dirname(compiled))
    if not os.path.exists(compiled):
        # A compiled file that carries its source's hash (flags 3, PEP 552) is not used for another, whatever its time.
        header = importlib.util.MAGIC_NUMBER + (3).to_bytes(4, 'little') + importlib.util.source_hash(source)
        replace(compiled, header + marshal.dumps(compile(source, path, 'exec', dont_inherit=True)))
    return changed


def is_older(path, seconds):
    """Whether a file was written so long ago; no for one that its writer has renamed meanwhile."""
    try:
        return time.time() - os.lstat(path).st_mtime > seconds
    except FileNotFoundError:
        return False


def sweep(root, own):
    """Remove what killed writers left in our folder, and the folders that no session has opened for a long time."""
    for folder, _, names in os.walk(own):
        for path in (os.path.join(folder, name) for name in names if name.rpartition('.')[2].isdigit()):
            if is_older(path, 3600):
                with contextlib.suppress(FileNotFoundError):  # another session sweeps too
                    os.unlink(path)
    for name in os.listdir(root):
        path = os.path.join(root, name)
        if name.startswith('llm_') and is_older(path, KEEP_DAYS * 86400):
            shutil.rmtree(path, ignore_errors=True)


def write(sources, package):
    """The package's folder, complete and equal to the catalogue's sources."""
    root = private_folder(os.path.join(os.getcwd(), 'base', 'pgsql_tmp_llm'))
    folder = private_folder(os.path.join(root, package))
    os.utime(folder)
    changed = [place(made(folder, path), source) for path, source in files_of(sources).items()]
    if any(changed):
        sweep(root, folder)
    return folder


def files_of(sources):
    """{path: source}: the function kernels__matrix is kernels/matrix.py, and each folder has an empty __init__.py."""
    files = {f'{name.replace("__", "/")}.py': source for name, source in sources.items()}
    folders = {os.path.dirname(path) for path in files} | {''}
    folders |= {os.path.dirname(folder) for folder in folders}
    return {os.path.join(folder, '__init__.py'): b'' for folder in folders} | files


def made(folder, path):
    """The whole path of a file, all of whose folders are there and private."""
    for part in path.split('/')[:-1]:
        folder = private_folder(os.path.join(folder, part))
    return os.path.join(folder, os.path.basename(path))


def open_package(package, folder):
    """Register the package, so that its modules import one another; its name holds the release, so releases coexist."""
    initial = os.path.join(folder, '__init__.py')
    spec = importlib.util.spec_from_file_location(package, initial, submodule_search_locations=[folder])
    if package not in sys.modules:
        sys.modules[package] = importlib.util.module_from_spec(spec)
    try:
        return importlib.import_module(f'{package}.server.connection')
    except (EOFError, ValueError, TypeError):  # a compiled file that a crash of the machine cut short
        for path in glob.glob(os.path.join(folder, '**', '__pycache__'), recursive=True):
            shutil.rmtree(path)
        return importlib.import_module(f'{package}.server.connection')


def import_numpy(site):
    """numpy of the chosen folder, single-threaded unless asked otherwise. The first import decides for the session."""
    if site and site not in sys.path:
        sys.path.insert(0, site)
    os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
    os.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')
    try:
        import numpy
    except ImportError as error:
        python = '%d.%d' % sys.version_info[:2]
        place = site or 'the packages of the system'
        refuse(f"the server's Python {python} cannot import numpy", f'{error}; looked in {place}', PACKAGES_HINT)
    if site and not numpy.__file__.startswith(os.path.join(site, '')):
        plpy.warning(f'another function of this session imported numpy from {os.path.dirname(numpy.__file__)}',
                     detail=f'Language models are meant to use the one in {site}.', hint='Open a new connection.')


sources = modules()
release = plpy.execute('SELECT llm_runtime.release() AS release')[0]['release']
if digest(sources) != release:
    refuse('the modules of schema llm_runtime are not those of its release', 'An upgrade is under way, or a module '
           'was changed by hand.', 'Try again after the deployment; sqitch verify names the module that differs.')
package = f'llm_{release[:16]}'
folder = write(sources, package)
site = plpy.execute('SELECT llm_runtime.site_packages() AS site')[0]['site']
# Threads that a library starts now inherit this mask: the handlers of PostgreSQL run on its own thread only.
mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
try:
    import_numpy(site)
    GD['llm'] = open_package(package, folder).connect(plpy, GD, package, release)
finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
return release
$python$;

REVOKE ALL ON FUNCTION llm_runtime.boot() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.boot() TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.boot() IS
'Loads the modules of the release into this session as GD[''llm''] and returns the release. Functions of schema llm '
'call it themselves.';

COMMIT;
