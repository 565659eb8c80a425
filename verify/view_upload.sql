-- Verify hartonomous:view_upload on pg

BEGIN;

SELECT content FROM llm.upload WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_loader', 'llm.upload', 'INSERT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_user', 'llm.upload', 'INSERT');
END
$verify$;

ROLLBACK;
