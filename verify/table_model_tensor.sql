-- Verify hartonomous:table_model_tensor on pg

BEGIN;

SELECT
model_id,
ordinal,
name,
tensor_hash
FROM llm_store.model_tensor WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.model_tensor', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_user', 'llm_store.model_tensor', 'INSERT');
    ASSERT pg_catalog.has_column_privilege('llm_loader', 'llm_store.model_tensor', 'tensor_hash', 'UPDATE');
    ASSERT NOT pg_catalog.has_column_privilege('llm_loader', 'llm_store.model_tensor', 'name', 'UPDATE');
END
$verify$;

ROLLBACK;
