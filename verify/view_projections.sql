-- Verify hartonomous:view_projections on pg

BEGIN;

SELECT
model,
explained,
units,
created_at
FROM llm_atoms.projections WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_atoms.projections', 'SELECT');
    ASSERT (
        SELECT 'security_invoker=true' = ANY (c.reloptions)
        FROM pg_catalog.pg_class AS c
        WHERE c.oid = 'llm_atoms.projections'::regclass
    ), 'the rights of who reads decide';
END
$verify$;

ROLLBACK;
