-- Verify hartonomous:view_token_embeddings on pg

BEGIN;

SELECT
model,
token_id,
token_text,
embedding_atom_id,
embedding_h_coords,
embedding
FROM llm.token_embeddings WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm.token_embeddings', 'SELECT');
    ASSERT (
        SELECT 'security_invoker=true' = ANY (c.reloptions)
        FROM pg_catalog.pg_class AS c
        WHERE c.oid = 'llm.token_embeddings'::regclass
    ), 'the rights of who reads decide';
END
$verify$;

ROLLBACK;
