-- Verify hartonomous:function_store_generate_stream_rows on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT (
        SELECT pg_catalog.has_function_privilege('llm_user', p.oid, 'EXECUTE')
            AND NOT pg_catalog.has_function_privilege('public', p.oid, 'EXECUTE')
        FROM pg_catalog.pg_proc AS p
        WHERE p.oid = 'llm_store.generate_stream_rows'::regproc
    );
END
$verify$;

ROLLBACK;
