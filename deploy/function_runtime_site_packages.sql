-- Deploy hartonomous:function_runtime_site_packages to pg
-- requires: schema_llm_runtime

-- The folder is given at deploy time: sqitch deploy --set python_site=/srv/llm/lib/python3.11/site-packages
-- It is a literal in a superuser's function, not a setting: a setting that any user may change would run that user's
-- Python as the server's account.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_runtime.site_packages()
RETURNS text
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
RETURN :'python_site'::text;

REVOKE ALL ON FUNCTION llm_runtime.site_packages() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.site_packages() TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.site_packages() IS
'The folder of the server''s Python packages; empty: the packages of the system''s Python.';

-- Fail during the deployment, not at the first call: everything that the modules import must be installed.
DO $check$
import os
import signal
import stat
import sys

def refuse(message, detail, hint):
    plpy.error(message, detail=detail, hint=hint, sqlstate='55000')

site = plpy.execute('SELECT llm_runtime.site_packages() AS site')[0]['site']
version = '%d.%d' % sys.version_info[:2]
packages = 'numpy numba tokenizers gguf'
advice = (
    f"Make a folder that the server's user can read: /usr/bin/python{version} -m venv /srv/llm; "
    '/srv/llm/bin/pip install --upgrade pip; in the checkout /srv/llm/bin/pip install --group server, versions that '
    f'fit together; then deploy with --set python_site=/srv/llm/lib/python{version}/site-packages.'
)
if site:
    if not os.path.isabs(site) or not os.access(site, os.R_OK | os.X_OK) or not os.path.isdir(site):
        account = f'The server runs as user id {os.geteuid()}.'
        refuse(f'python_site "{site}" is not a folder that the server can read', account, advice)
    if os.stat(site).st_mode & stat.S_IWOTH:
        danger = 'Whoever can write there can run code in the server.'
        refuse(f'python_site "{site}" is writable by everyone', danger, f'chmod o-w {site}')
    sys.path.insert(0, site)
# Threads that a library starts now must not take the signals of the server.
mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
try:
    for package in packages.split():
        try:
            __import__(package)
        except ImportError as error:
            place = site or 'the packages of the system'
            refuse(f"the server's Python {version} cannot import {package}", f'{error}; looked in {place}', advice)
finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
$check$ LANGUAGE plpython3u;

COMMIT;
