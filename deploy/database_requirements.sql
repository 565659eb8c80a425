-- Deploy hartonomous:database_requirements to pg

-- Creates nothing: it stops a deployment that could not end well, before anything is there to take back.
BEGIN;
SET LOCAL lock_timeout = '5s';
SELECT pg_catalog.set_config('llm.generate_schema', :'generate_schema', TRUE);

DO $requirements$
DECLARE
    extension text;
    chosen CONSTANT text := pg_catalog.current_setting('llm.generate_schema');
    encoding text := (
        SELECT pg_catalog.pg_encoding_to_char(d.encoding)
        FROM pg_catalog.pg_database AS d
        WHERE d.datname = pg_catalog.current_database()
    );
BEGIN
    IF NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user) THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('role "%s" may not deploy hartonomous', current_user),
            DETAIL = 'Functions in plpython3u can only be created by a superuser.',
            HINT = 'Deploy as a superuser; the users of the models need no such right.';
    END IF;
    IF current_setting('server_version_num')::integer < 150000 THEN
        RAISE feature_not_supported USING
            MESSAGE = format('PostgreSQL %s is too old for hartonomous', current_setting('server_version')),
            HINT = 'Use PostgreSQL 15 or newer.';
    END IF;
    IF encoding <> 'UTF8' THEN
        RAISE feature_not_supported USING
            MESSAGE = format('database "%s" has the encoding %s, hartonomous needs UTF8', current_database(), encoding),
            DETAIL = 'The text of a language model is Unicode.',
            HINT = 'Make a database with: CREATE DATABASE name ENCODING ''UTF8'' TEMPLATE template0;';
    END IF;
    FOREACH extension IN ARRAY ARRAY['plpython3u', 'postgis'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_available_extensions AS a WHERE a.name = extension) THEN
            RAISE feature_not_supported USING
                MESSAGE = format('extension "%s" is not available on this server', extension),
                HINT = format(
                    'On Debian and Ubuntu: apt-get install postgresql-plpython3-%1$s postgresql-%1$s-postgis-3',
                    current_setting('server_version_num')::integer / 10000);
        END IF;
    END LOOP;
    -- function_generate_wrapper, near the end of the plan, says the same and more.
    IF pg_catalog.to_regnamespace(pg_catalog.quote_ident(chosen)) IS NULL THEN
        RAISE invalid_schema_name USING
            MESSAGE = format('there is no schema %I for the short generate(prompt)', chosen),
            HINT = 'Create it, or choose another one with --set generate_schema=NAME.';
    END IF;
END
$requirements$;

COMMIT;
