-- Deploy hartonomous:function_linear to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.linear(
    x bytea,
    weight text,
    model text DEFAULT NULL,
    bias text DEFAULT NULL,
    residual bytea DEFAULT NULL
)
RETURNS bytea
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.operators.linear(x, weight, model, bias, residual)
$python$;

REVOKE ALL ON FUNCTION llm.linear(bytea, text, text, text, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.linear(bytea, text, text, text, bytea) TO llm_user;
COMMENT ON FUNCTION llm.linear(bytea, text, text, text, bytea) IS
E'x times the transposed weight, plus the bias, plus the residual: [n, columns] to [n, rows].\n'
'An activation is bytea: little-endian float32, one row per token.\n'
'x: NULL gives NULL; its size must be a multiple of the matrix''s columns.\n'
'weight: the name of a matrix in llm.tensors.\n'
'model: a name from llm.models; NULL is the default model.\n'
'bias: the name of a vector in llm.tensors. NULL adds nothing; so does a bias that the family does not have '
'(attn_q.bias, attn_k.bias, attn_v.bias, attn_output.bias).\n'
'residual: [n, rows], added to the product; NULL adds nothing.';

COMMIT;
