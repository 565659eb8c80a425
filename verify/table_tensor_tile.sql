-- Verify hartonomous:table_tensor_tile on pg

BEGIN;

SELECT
tensor_hash,
ordinal,
tile_hash
FROM llm_store.tensor_tile WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.tensor_tile', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.tensor_tile', 'INSERT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.tensor_tile', 'DELETE');
END
$verify$;

ROLLBACK;
