-- Verify hartonomous:view_weight_matrices on pg

BEGIN;

SELECT
model,
matrix_name,
row_idx,
col_idx,
weight_atom_h_xy,
weight_atom_h_yz,
weight_atom_h_zm,
weight
FROM llm.weight_matrices WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm.weight_matrices', 'SELECT');
    ASSERT (
        SELECT 'security_invoker=true' = ANY (c.reloptions)
        FROM pg_catalog.pg_class AS c
        WHERE c.oid = 'llm.weight_matrices'::regclass
    ), 'the rights of who reads decide';
END
$verify$;

ROLLBACK;
