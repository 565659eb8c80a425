-- Revert hartonomous:database_lost_clients from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DO $settings$
BEGIN
    IF EXISTS (
        SELECT FROM pg_catalog.pg_db_role_setting AS s
        INNER JOIN pg_catalog.pg_database AS d ON s.setdatabase = d.oid
        WHERE
            d.datname = current_database()
            AND s.setrole = 0
            AND 'client_connection_check_interval=0.1s' = ANY(s.setconfig)
    ) THEN
        EXECUTE format('ALTER DATABASE %I RESET client_connection_check_interval', current_database());
    END IF;
END
$settings$;

COMMIT;
