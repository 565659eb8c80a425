-- Verify hartonomous:function_store_tensor_hash on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_store.tensor_hash('F32', '{2,3}', ARRAY['a'::bytea, 'b']) = sha256(convert_to(E'F32 2,3\nab', 'UTF8'));
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.tensor_hash(text, bigint[], bytea[])', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.tensor_hash(text, bigint[], bytea[])', 'EXECUTE');
END
$verify$;

ROLLBACK;
