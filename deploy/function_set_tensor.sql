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
E'Replaces all values of a tensor.\n'
'Values are rounded to the tensor''s encoding. Returns the largest rounding error, 0 if all values are exact.\n'
'The edit is part of the caller''s transaction: others see it after COMMIT, and ROLLBACK undoes it.\n'
'model: its owner must be the caller or a role whose rights the caller has.\n'
'tensor: a name from llm.tensors.\n'
'numbers: little-endian float32 in the tensor''s shape, as llm.bytes makes them.';

COMMIT;
