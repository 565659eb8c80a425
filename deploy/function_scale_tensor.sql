-- Deploy hartonomous:function_scale_tensor to pg
-- requires: schema_llm, table_operation, function_store_tile, function_store_atomise

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.scale_tensor(model text, tensor text, factor double precision)
RETURNS double precision
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
COST 100000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.editing.scale_tensor(model, tensor, factor)
$python$;

REVOKE ALL ON FUNCTION llm.scale_tensor(text, text, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.scale_tensor(text, text, double precision) TO llm_loader;
COMMENT ON FUNCTION llm.scale_tensor(text, text, double precision) IS
E'Multiplies all weights of a tensor by a number.\n'
'Values are rounded to the tensor''s encoding. Returns the largest rounding error, 0 if all values are exact.\n'
'The edit is part of the caller''s transaction: others see it after COMMIT, and ROLLBACK undoes it.\n'
'model: its owner must be the caller or a role whose rights the caller has.\n'
'tensor: a name from llm.tensors.\n'
'factor: any finite number.';

COMMIT;
