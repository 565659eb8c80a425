-- Verify hartonomous:view_file_pieces on pg

BEGIN;

SELECT
model,
path,
segment,
piece,
tensor,
hash,
content
FROM llm.file_pieces WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm.file_pieces', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm.file_pieces', 'INSERT');
END
$verify$;

ROLLBACK;
