-- Verify hartonomous:table_prompt on pg

BEGIN;

SELECT
    task,
    version,
    template,
    created_at,
    author
FROM llm_store.prompt
WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.prompt', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_user', 'llm_store.prompt', 'INSERT, UPDATE, DELETE');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.prompt', 'UPDATE, DELETE');
    ASSERT (SELECT c.relrowsecurity FROM pg_catalog.pg_class AS c WHERE c.oid = 'llm_store.prompt'::regclass);
END
$verify$;

ROLLBACK;
