-- Verify hartonomous:view_store_tensor_row on pg

BEGIN;

SELECT
model_id,
model,
tokenizer_id,
tensor,
tensor_hash,
type,
columns,
row_number,
content
FROM llm_store.tensor_row WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.tensor_row', 'SELECT');
    ASSERT (
        SELECT 'security_invoker=true' = ANY (c.reloptions)
        FROM pg_catalog.pg_class AS c
        WHERE c.oid = 'llm_store.tensor_row'::regclass
    ), 'the rights of who reads decide';
END
$verify$;

ROLLBACK;
