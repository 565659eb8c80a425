-- Verify hartonomous:view_token_positions on pg

BEGIN;

SELECT
model,
token_id,
token,
kind,
h_xy,
h_yz,
h_zm,
geom
FROM llm_atoms.token_positions WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_atoms.token_positions', 'SELECT');
    ASSERT (
        SELECT 'security_invoker=true' = ANY (c.reloptions)
        FROM pg_catalog.pg_class AS c
        WHERE c.oid = 'llm_atoms.token_positions'::regclass
    ), 'the rights of who reads decide';
END
$verify$;

ROLLBACK;
