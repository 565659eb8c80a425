-- Verify hartonomous:function_store_decoded on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.decoded(text, bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.decoded(text, bytea)', 'EXECUTE');
    ASSERT llm_store.decoded('F16', '\x003c00c0') = '\x0000803f000000c0', '1 and -2';
END
$verify$;

ROLLBACK;
