-- Deploy hartonomous:extension_plpython3u to pg
-- requires: database_requirements

-- The comment marks an extension that the deployment created: only then does a revert drop it.
BEGIN;
SET LOCAL lock_timeout = '5s';

DO $extension$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_extension AS e WHERE e.extname = 'plpython3u') THEN
        RAISE NOTICE 'extension plpython3u is there already and will stay when hartonomous is reverted';
    ELSE
        CREATE EXTENSION plpython3u;
        COMMENT ON EXTENSION plpython3u IS
        'PL/Python3U, in which language models run (created by the deployment of hartonomous)';
    END IF;
END
$extension$;

COMMIT;
