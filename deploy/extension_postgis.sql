-- Deploy hartonomous:extension_postgis to pg
-- requires: database_requirements

-- The comment marks an extension that the deployment created: only then does a revert drop it.
BEGIN;
SET LOCAL lock_timeout = '5s';

DO $extension$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_extension AS e WHERE e.extname = 'postgis') THEN
        RAISE NOTICE 'extension postgis is there already and will stay when hartonomous is reverted';
    ELSE
        CREATE EXTENSION postgis;
        COMMENT ON EXTENSION postgis IS
        'PostGIS geometry, which holds the points of atoms of language models (created by the deployment of hartonomous)';
    END IF;
END
$extension$;

COMMIT;
