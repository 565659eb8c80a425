-- Verify hartonomous:function_store_missing_tiles on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT ARRAY(SELECT llm_store.missing_tiles(ARRAY['\x00'::bytea, '\x00', NULL])) = ARRAY['\x00'::bytea];
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.missing_tiles(bytea[])', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.missing_tiles(bytea[])', 'EXECUTE');
END
$verify$;

ROLLBACK;
