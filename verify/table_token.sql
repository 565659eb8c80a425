-- Verify hartonomous:table_token on pg

BEGIN;

SELECT
tokenizer_id,
id,
bytes,
text,
kind
FROM llm_store.token WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.token', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.token', 'INSERT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.token', 'DELETE');
END
$verify$;

ROLLBACK;
