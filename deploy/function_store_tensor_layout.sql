-- Deploy hartonomous:function_store_tensor_layout to pg
-- requires: schema_llm_store, function_runtime_boot, role_llm_owner

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.tensor_layout(tensors jsonb)
RETURNS TABLE (
    ordinal integer,
    name text,
    type text,
    shape bigint[],
    rows_per_tile integer,
    bytes bigint,
    tiles bytea[],
    tile_bytes integer[]
)
LANGUAGE plpython3u
STABLE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.ingestion.tensor_layout(tensors)
$python$;

REVOKE ALL ON FUNCTION llm_store.tensor_layout(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.tensor_layout(jsonb) TO llm_owner;
COMMENT ON FUNCTION llm_store.tensor_layout(jsonb) IS
'The tensors of a manifest (see llm_store.publish) as rows, with the size that each tile must have for type and shape.';

COMMIT;
