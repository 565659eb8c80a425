-- Verify hartonomous:database_lost_clients on pg

BEGIN;

DO $verify$
BEGIN
    -- This session may be older than the database's setting.
    ASSERT current_setting('client_connection_check_interval') <> '0' OR EXISTS (
        SELECT FROM pg_catalog.pg_db_role_setting AS s
        INNER JOIN pg_catalog.pg_database AS d ON s.setdatabase = d.oid
        CROSS JOIN unnest(s.setconfig) AS setting (line)
        WHERE d.datname = current_database() AND setting.line LIKE 'client_connection_check_interval=%'
    ), 'the server looks for clients that are gone';
END
$verify$;

ROLLBACK;
