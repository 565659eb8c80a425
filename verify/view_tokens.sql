-- Verify hartonomous:view_tokens on pg

BEGIN;

SELECT
model,
id,
text,
bytes,
kind
FROM llm.tokens WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm.tokens', 'SELECT');
    ASSERT (
        SELECT 'security_invoker=true' = ANY (c.reloptions)
        FROM pg_catalog.pg_class AS c
        WHERE c.oid = 'llm.tokens'::regclass
    ), 'the rights of who reads decide';
END
$verify$;

ROLLBACK;
