-- Deploy hartonomous:extension_postgis to pg
-- requires: database_requirements

-- The comment remembers that the extension came with the deployment: a revert drops it then, and leaves it otherwise.
BEGIN;
SET LOCAL lock_timeout = '5s';

DO $extension$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_extension AS e WHERE e.extname = 'postgis') THEN
        RAISE NOTICE 'extension postgis is there already and will stay when hartonomous is reverted';
    ELSE
        CREATE EXTENSION postgis;
        COMMENT ON EXTENSION postgis IS
        'PostGIS geometry, in which the atoms of language models live (created by the deployment of hartonomous)';
    END IF;
END
$extension$;

COMMIT;
