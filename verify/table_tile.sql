-- Verify hartonomous:table_tile on pg

BEGIN;

SELECT
hash,
content,
stored_at
FROM llm_store.tile WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.tile', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_user', 'llm_store.tile', 'INSERT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.tile', 'DELETE');
    ASSERT NOT pg_catalog.has_column_privilege('llm_loader', 'llm_store.tile', 'stored_at', 'INSERT');
END
$verify$;

ROLLBACK;
