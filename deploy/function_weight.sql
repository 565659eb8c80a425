-- Deploy hartonomous:function_weight to pg
-- requires: schema_llm, function_runtime_boot, view_store_tensor_row

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.weight(matrix text, row_idx integer, col_idx integer, model text DEFAULT NULL)
RETURNS real
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.weight_rows.weight(matrix, row_idx, col_idx, model)
$python$;

REVOKE ALL ON FUNCTION llm.weight(text, integer, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.weight(text, integer, integer, text) TO llm_user;
COMMENT ON FUNCTION llm.weight(text, integer, integer, text) IS
E'One weight of a tensor.\n'
'matrix: a name from llm.tensors.\n'
'row_idx and col_idx: from 0; a vector is one row.\n'
'model: a name from llm.models; NULL is the default model.';

COMMIT;
