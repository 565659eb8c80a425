-- Deploy hartonomous:function_swiglu_of_weights to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.swiglu(
    x bytea,
    gate text,
    up text,
    model text DEFAULT NULL
)
RETURNS bytea
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.operators.swiglu_of_weights(x, gate, up, model)
$python$;

REVOKE ALL ON FUNCTION llm.swiglu(bytea, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.swiglu(bytea, text, text, text) TO llm_user;
COMMENT ON FUNCTION llm.swiglu(bytea, text, text, text) IS
E'llm.swiglu of two products, x times the transposed gate and x times the transposed up: [n, columns] to [n, rows]. '
'Bit for bit the same as three calls of llm.linear and llm.swiglu.\n'
'An activation is bytea: little-endian float32, one row per token.\n'
'x: NULL gives NULL; its size must be a multiple of the matrices'' columns.\n'
'gate, up: the names of two matrices in llm.tensors, of the same shape.\n'
'model: a name from llm.models; NULL is the default model.';

COMMIT;
