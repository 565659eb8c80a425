-- Revert hartonomous:extension_postgis from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DO $extension$
DECLARE
    created boolean := (
        SELECT pg_catalog.obj_description(e.oid, 'pg_extension') LIKE '%(created by the deployment of hartonomous)'
        FROM pg_catalog.pg_extension AS e
        WHERE e.extname = 'postgis'
    );
BEGIN
    IF created IS NOT TRUE THEN
        RAISE NOTICE 'extension postgis stays: hartonomous did not create it';
        RETURN;
    END IF;
    DROP EXTENSION postgis;
EXCEPTION
    WHEN dependent_objects_still_exist THEN
        RAISE NOTICE 'extension postgis stays: other objects of this database need it';
END
$extension$;

COMMIT;
