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
E'Multiplies a tensor of a model by a number.\n'
'Values that the tensor''s encoding cannot hold exactly are rounded to it; the result is the largest difference '
'between what was asked for and what is stored, 0 when it is exact.\n'
'Everything happens in the caller''s transaction: only it sees the change until COMMIT, and after ROLLBACK nothing '
'happened.\n'
'model: a model that belongs to a role whose rights the caller has.\n'
'tensor: a name of llm.tensors.\n'
'factor: any finite number.';

COMMIT;
