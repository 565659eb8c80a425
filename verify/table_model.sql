-- Verify hartonomous:table_model on pg

BEGIN;

SELECT
id,
name,
hash,
architecture,
tokenizer_id,
container,
kind,
owner,
created_at
FROM llm_store.model
WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.model', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_user', 'llm_store.model', 'DELETE');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.model', 'UPDATE');
    ASSERT NOT pg_catalog.has_column_privilege('llm_loader', 'llm_store.model', 'owner', 'UPDATE');
    ASSERT NOT pg_catalog.has_column_privilege('llm_loader', 'llm_store.model', 'owner', 'INSERT');
    ASSERT NOT pg_catalog.has_column_privilege('llm_loader', 'llm_store.model', 'hash', 'INSERT');
END
$verify$;

ROLLBACK;
