-- Verify hartonomous:view_files on pg

BEGIN;

SELECT
model,
path,
bytes,
tensors
FROM llm.files WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm.files', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm.files', 'INSERT');
END
$verify$;

ROLLBACK;
