-- Deploy hartonomous:function_packed_tensors to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.packed_tensors()
RETURNS TABLE (
    tensor_hash bytea,
    layout text,
    bytes bigint,
    built timestamptz,
    last_used timestamptz
)
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 1000
ROWS 300
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.packed_cache.packed_tensors()
$python$;

REVOKE ALL ON FUNCTION llm.packed_tensors() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.packed_tensors() TO llm_user;
COMMENT ON FUNCTION llm.packed_tensors() IS
E'The packed tensors on the server''s disk, of all databases.\n'
'tensor_hash: the tensor, see llm.tensors; layout: the layout (vector, f32, f16, bf16, q8, q4); bytes: its size; '
'built: when its file was written; last_used: when a session last used it, to about a minute.\n'
'The smaller tensors of a layer share a file. A tensor that is in several files has a row for each.';

COMMIT;
