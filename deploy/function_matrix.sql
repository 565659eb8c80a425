-- Deploy hartonomous:function_matrix to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.matrix(matrix text, model text DEFAULT NULL)
RETURNS bytea
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
COST 100000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.weight_rows.matrix(matrix, model)
$python$;

REVOKE ALL ON FUNCTION llm.matrix(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.matrix(text, text) TO llm_user;
COMMENT ON FUNCTION llm.matrix(text, text) IS
E'All numbers of a tensor, row after row, as an activation: bytea of little-endian float32; llm.floats shows them.\n'
'The hashes of all tiles are checked.\n'
'A tensor of more than 268 million numbers does not fit in a value of PostgreSQL and is an error.\n'
'matrix: a name from llm.tensors.\n'
'model: a name from llm.models; NULL is the default model.';

COMMIT;
