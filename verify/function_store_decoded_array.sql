-- Verify hartonomous:function_store_decoded_array on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.decoded_array(text, bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.decoded_array(text, bytea)', 'EXECUTE');
    ASSERT llm_store.decoded_array('BF16', '\xc03f00c0')::real[] = ARRAY[1.5, -2]::real[];
END
$verify$;

ROLLBACK;
