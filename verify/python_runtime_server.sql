-- Verify hartonomous:python_runtime_server on pg

BEGIN;

-- What the modules say is verified with the release, which has their digests.
DO $verify$
DECLARE
    module text;
BEGIN
    FOREACH module IN ARRAY '{
        server__arguments, server__background, server__ceilings, server__connection, server__database,
        server__errors, server__interrupts, server__messages, server__module_files, server__server_variables,
        server__settings, server__spi, server__sql_errors, server__statement_clock, server__streams
    }'::text[] LOOP
        ASSERT EXISTS (
            SELECT FROM pg_catalog.pg_proc AS p
            INNER JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
            INNER JOIN pg_catalog.pg_roles AS r ON r.oid = p.proowner
            WHERE p.oid = format('llm_runtime.%I()', module)::regprocedure AND l.lanname = 'plpython3u' AND r.rolsuper
        ), module || ' is not Python that a superuser owns';
        ASSERT NOT has_function_privilege('public', format('llm_runtime.%I()', module), 'EXECUTE'),
            'PUBLIC may execute ' || module;
    END LOOP;
END
$verify$;

ROLLBACK;
