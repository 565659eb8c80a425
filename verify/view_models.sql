-- Verify hartonomous:view_models on pg

BEGIN;

SELECT
name,
family,
parameters,
bytes,
layers,
context_length,
tokens,
container,
owner,
is_default,
created_at,
hash
FROM llm.models
WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm.models', 'SELECT');
    ASSERT (
        SELECT 'security_invoker=true' = ANY (c.reloptions)
        FROM pg_catalog.pg_class AS c
        WHERE c.oid = 'llm.models'::regclass
    ), 'the rights of who reads decide';
END
$verify$;

ROLLBACK;
