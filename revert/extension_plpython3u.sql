-- Revert hartonomous:extension_plpython3u from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DO $extension$
DECLARE
    created boolean := (
        SELECT pg_catalog.obj_description(e.oid, 'pg_extension') LIKE '%(created by the deployment of hartonomous)'
        FROM pg_catalog.pg_extension AS e
        WHERE e.extname = 'plpython3u'
    );
BEGIN
    IF created IS NOT TRUE THEN
        RAISE NOTICE 'extension plpython3u stays: hartonomous did not create it';
        RETURN;
    END IF;
    DROP EXTENSION plpython3u;
EXCEPTION
    WHEN dependent_objects_still_exist THEN
        RAISE NOTICE 'extension plpython3u stays: other objects of this database need it';
END
$extension$;

COMMIT;
