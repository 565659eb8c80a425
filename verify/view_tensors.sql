-- Verify hartonomous:view_tensors on pg

BEGIN;

SELECT
model,
name,
type,
shape,
bytes,
tiles,
ordinal,
hash
FROM llm.tensors WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm.tensors', 'SELECT');
    ASSERT (
        SELECT 'security_invoker=true' = ANY (c.reloptions)
        FROM pg_catalog.pg_class AS c
        WHERE c.oid = 'llm.tensors'::regclass
    ), 'the rights of who reads decide';
END
$verify$;

ROLLBACK;
