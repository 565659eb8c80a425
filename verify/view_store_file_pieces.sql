-- Verify hartonomous:view_store_file_pieces on pg

BEGIN;

SELECT
model,
path,
segment,
piece,
tensor,
hash,
content
FROM llm_store.file_pieces WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.file_pieces', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.file_pieces', 'INSERT');
END
$verify$;

ROLLBACK;
