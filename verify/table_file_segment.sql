-- Verify hartonomous:table_file_segment on pg

BEGIN;

SELECT
model_id,
path,
ordinal,
tensor_name,
tile_hash
FROM llm_store.file_segment WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.file_segment', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_user', 'llm_store.file_segment', 'INSERT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.file_segment', 'UPDATE');
END
$verify$;

ROLLBACK;
