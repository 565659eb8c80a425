-- Verify hartonomous:table_operation on pg

BEGIN;

SELECT
id,
model_id,
operation,
details,
parents,
hash_before,
hash_after,
author,
done_at
FROM llm_store.operation WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.operation', 'SELECT');
    ASSERT NOT pg_catalog.has_column_privilege('llm_loader', 'llm_store.operation', 'author', 'INSERT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.operation', 'UPDATE, DELETE');
END
$verify$;

ROLLBACK;
