-- Verify hartonomous:database_requirements on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT current_setting('server_version_num')::integer >= 150000, 'PostgreSQL 15 or newer';
    ASSERT current_setting('server_encoding') = 'UTF8', 'a UTF8 database';
END
$verify$;

ROLLBACK;
