-- Verify hartonomous:function_store_tensor_layout on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_owner', 'llm_store.tensor_layout(jsonb)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.tensor_layout(jsonb)', 'EXECUTE');
    ASSERT (
        SELECT l.tile_bytes
        FROM llm_store.tensor_layout(jsonb_build_array(jsonb_build_object(
            'name', 'v', 'type', 'F32', 'shape', '[300000]'::jsonb,
            'tiles', jsonb_build_array(repeat('0', 64), repeat('0', 64))
        ))) AS l
    ) = ARRAY[1048576, 151424];
END
$verify$;

ROLLBACK;
