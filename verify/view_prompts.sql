-- Verify hartonomous:view_prompts on pg

BEGIN;

SELECT
    task,
    version,
    is_current,
    template,
    created_at,
    author
FROM llm.prompts
WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm.prompts', 'SELECT');
    ASSERT (
        SELECT 'security_invoker=true' = ANY (c.reloptions)
        FROM pg_catalog.pg_class AS c
        WHERE c.oid = 'llm.prompts'::regclass
    ), 'the rights of who reads decide';
END
$verify$;

ROLLBACK;
