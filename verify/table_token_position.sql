-- Verify hartonomous:table_token_position on pg

BEGIN;

SELECT
tensor_hash,
token_id,
h_xy,
h_yz,
h_zm,
geom
FROM llm_store.token_position WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.token_position', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.token_position', 'INSERT, UPDATE, DELETE');
    ASSERT NOT pg_catalog.has_table_privilege('public', 'llm_store.token_position', 'SELECT');
END
$verify$;

ROLLBACK;
