-- Verify hartonomous:table_tokenizer on pg

BEGIN;

SELECT
id,
hash,
definition,
settings
FROM llm_store.tokenizer WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.tokenizer', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.tokenizer', 'INSERT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.tokenizer', 'DELETE');
END
$verify$;

ROLLBACK;
