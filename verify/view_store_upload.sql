-- Verify hartonomous:view_store_upload on pg

BEGIN;

SELECT content FROM llm_store.upload WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_loader', 'llm_store.upload', 'INSERT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_user', 'llm_store.upload', 'INSERT');
END
$verify$;

ROLLBACK;
