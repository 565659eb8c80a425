-- Deploy hartonomous:database_lost_clients to pg
-- requires: database_requirements

-- A generation must end when its client disconnects. The server reads this setting when a statement starts, so a SET of the
-- function would come too late, and members of a group role do not get its settings. So it is set for the database.
BEGIN;
SET LOCAL lock_timeout = '5s';

DO $settings$
BEGIN
    IF EXISTS (
        SELECT FROM pg_catalog.pg_settings AS s
        WHERE s.name = 'client_connection_check_interval' AND s.reset_val = '0'
    ) THEN
        -- Who sets it by hand writes milliseconds, so the revert knows what it may take back.
        EXECUTE format('ALTER DATABASE %I SET client_connection_check_interval = %L', current_database(), '0.1s');
    ELSE
        RAISE NOTICE 'client_connection_check_interval stays as it is set';
    END IF;
END
$settings$;

COMMIT;
