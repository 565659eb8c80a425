-- Deploy hartonomous:function_set_tensor to pg
-- requires: schema_llm, table_operation, function_store_tile, function_store_atomise

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.set_tensor(model text, tensor text, numbers bytea)
RETURNS double precision
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
COST 100000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.editing.set_tensor(model, tensor, numbers)
$python$;

REVOKE ALL ON FUNCTION llm.set_tensor(text, text, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.set_tensor(text, text, bytea) TO llm_loader;
COMMENT ON FUNCTION llm.set_tensor(text, text, bytea) IS
E'Gives a tensor of a model other values.\n'
'Values that the tensor''s encoding cannot hold exactly are rounded to it; the result is the largest difference '
'between what was asked for and what is stored, 0 when it is exact.\n'
'Everything happens in the caller''s transaction: only it sees the change until COMMIT, and after ROLLBACK nothing '
'happened.\n'
'model: a model that belongs to a role whose rights the caller has.\n'
'tensor: a name of llm.tensors.\n'
'numbers: little-endian float32 in the tensor''s shape, as llm.bytes makes them.';

COMMIT;
